package dev.torpor.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.StringReader;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

/** What is written of what was found. */
class BenchPageTest {
    private static Outcome outcome(Variant variant, double driver, double unpark, double... totals) {
        Outcome outcome = new Outcome(variant);
        for (double total : totals) {
            outcome.add(
                    Map.of(Measure.TOTAL, total, Measure.DRIVER, driver, Measure.UNPARK, unpark, Measure.SUSPEND, 5.0));
        }
        return outcome;
    }

    private static Findings findings(String workload, Outcome... outcomes) {
        return new Findings(Depth.CHECKPOINT, workload, List.of(outcomes), false, true);
    }

    private static Findings some(String workload) {
        Outcome failed = outcome(Variant.KEEPER, 2, 0, 2.2);
        failed.fail(new TorporException(Problem.TOOL, "It <broke> & \"fell\"."));
        Outcome skipped = new Outcome(Variant.MPS_WARM);
        skipped.skip("there is none.");
        return findings(
                workload,
                outcome(Variant.ALONE, 2, 0, 2.1, 2.2),
                failed,
                skipped,
                outcome(Variant.PARKED, 0.2, 0.25, 0.5, 0.6));
    }

    private static Document parsed(String page) {
        try {
            return DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new InputSource(new StringReader(page)));
        } catch (Exception e) {
            throw new AssertionError(page, e);
        }
    }

    @Property(tries = 200)
    void thePageIsWellFormedWhateverTheWordsAre(@ForAll String workload, @ForAll String fact) {
        Document page = parsed(Page.of(new Protocol(List.of(some(workload)), 2, 1, Map.of("host", fact))));
        assertThat(page.getElementsByTagName("tr").getLength()).isEqualTo(5);
    }

    @Example
    void thePageNeedsNothingFromElsewhere() {
        String page = Page.of(new Protocol(List.of(some("x")), 2, 1, Map.of()));
        Document parsed = parsed(page);
        for (String element : List.of("script", "link", "img", "iframe", "object")) {
            assertThat(parsed.getElementsByTagName(element).getLength()).isZero();
        }
        assertThat(page.replace("http://www.w3.org/", ""))
                .doesNotContain("http", "url(", "src=")
                .contains("SIMULATED", "prefers-color-scheme: dark", "It &lt;broke&gt; &amp; &quot;fell&quot;.");
        NodeList bars = parsed.getElementsByTagName("rect");
        assertThat(bars.getLength()).isEqualTo(3 + 3 + 3 + 3); // three with three parts each, and as many colours
    }

    @Example
    void aRowTellsWhatCameOfItsRun() {
        List<List<String>> rows = some("x").table();
        assertThat(rows.get(0)).containsExactly("run", "total", "unpark", "suspend", "improvement", "verdict");
        assertThat(rows.get(1))
                .containsExactly("alone", "2.15 s (2.10..2.20)", "–", "5.00 s (5.00..5.00)", "–", "baseline");
        assertThat(rows.get(2)).endsWith("-2.3 %", "too few rounds, then failed");
        assertThat(rows.get(3)).containsExactly("MPS, warm", "–", "–", "–", "–", "skipped");
        assertThat(rows.get(4)).endsWith("74.4 %", "faster");
        assertThat(some("x").remarks())
                .contains("keeper failed: It <broke> & \"fell\".", "MPS, warm skipped: there is none.");
    }

    @Example
    void withoutABaselineNothingIsCompared() {
        Outcome broken = new Outcome(Variant.ALONE);
        broken.fail(new IllegalStateException());
        Findings findings = findings("x", broken, outcome(Variant.PARKED, 0.2, 0.25, 0.5, 0.6));
        assertThat(findings.table().get(0)).doesNotContain("improvement");
        assertThat(findings.table().get(1)).endsWith("failed");
        assertThat(findings.table().get(2)).endsWith("no baseline");
        assertThat(findings.remarks()).contains("alone failed: java.lang.IllegalStateException");
    }

    @Example
    void aLevelThatWasSkippedSaysSoOnce() {
        Outcome one = new Outcome(Variant.ALONE);
        Outcome other = new Outcome(Variant.PARKED);
        one.skip("no root.");
        other.skip("no root.");
        Protocol protocol = new Protocol(List.of(findings("x", one, other)), 2, 1, Map.of());
        assertThat(protocol.text()).containsOnlyOnce("no root.").contains("- Skipped: no root.");
        assertThat(protocol.isMeasured()).isFalse();
        assertThat(parsed(Page.of(protocol)).getElementsByTagName("table").getLength())
                .isZero();
    }

    @Example
    void whoHeldTheGpuIsTold() {
        Outcome alone = outcome(Variant.ALONE, 2, 0, 2.1);
        Findings snapshot = new Findings(Depth.SNAPSHOT, "x", List.of(alone), false, true);
        assertThat(new Protocol(List.of(some("x"), snapshot), 2, 1, Map.of()).notes())
                .anyMatch(note -> note.contains("from the first save on"));
        assertThat(new Protocol(List.of(some("x")), 2, 1, Map.of()).notes())
                .noneMatch(note -> note.contains("from the first save on"));
    }

    @Example
    void partsAddUpToTheWholeAndTheContextIsThatOfTheParkedRun() {
        Findings findings = some("x");
        Map<Parts.Part, Double> alone = Parts.of(findings, findings.outcomes().get(0));
        assertThat(alone.get(Parts.Part.CONTEXT)).isEqualTo(0.2);
        assertThat(alone.get(Parts.Part.DEVICE_MEMORY)).isEqualTo(1.8);
        assertThat(alone.values().stream().mapToDouble(part -> part).sum()).isCloseTo(2.15, within(1e-9));
        Findings without = findings("x", outcome(Variant.ALONE, 2, 0, 2.1));
        assertThat(Parts.of(without, without.outcomes().get(0)))
                .containsOnlyKeys(Parts.Part.UNDIVIDED, Parts.Part.REST);
    }
}
