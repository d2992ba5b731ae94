package dev.torpor.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

/** Medians, ranges, and when a difference counts. */
class BenchStatisticsTest {
    @Provide
    Arbitrary<List<Double>> times() {
        return Arbitraries.doubles().between(0.01, 1000).list().ofMinSize(1).ofMaxSize(9);
    }

    @Property
    void theMedianHasAsManyBelowAsAbove(@ForAll("times") List<Double> values) {
        double median = new Sample(values).median();
        assertThat(values.stream().filter(value -> value < median).count()).isLessThanOrEqualTo(values.size() / 2);
        assertThat(values.stream().filter(value -> value > median).count()).isLessThanOrEqualTo(values.size() / 2);
    }

    @Property
    void theOrderOfRoundsDoesNotMatter(@ForAll("times") List<Double> values) {
        List<Double> reversed = new ArrayList<>(values);
        Collections.reverse(reversed);
        assertThat(new Sample(reversed)).isEqualTo(new Sample(values));
        assertThat(new Sample(values).least()).isEqualTo(Collections.min(values));
        assertThat(new Sample(values).greatest()).isEqualTo(Collections.max(values));
    }

    @Property
    void aVerdictTurnsRoundWithItsSides(@ForAll("times") List<Double> one, @ForAll("times") List<Double> other) {
        Verdict there = Verdict.of(new Sample(one), new Sample(other));
        Verdict back = Verdict.of(new Sample(other), new Sample(one));
        assertThat(back)
                .isEqualTo(
                        switch (there) {
                            case FASTER -> Verdict.SLOWER;
                            case SLOWER -> Verdict.FASTER;
                            default -> there;
                        });
    }

    @Property
    void fasterMeansThatEveryRoundWasFaster(@ForAll("times") List<Double> one, @ForAll("times") List<Double> other) {
        boolean all = one.stream().allMatch(first -> other.stream().allMatch(second -> second < first));
        boolean enough = one.size() > 1 && other.size() > 1;
        Verdict verdict = Verdict.of(new Sample(one), new Sample(other));
        assertThat(verdict == Verdict.FASTER).isEqualTo(all && enough);
        assertThat(verdict == Verdict.TOO_FEW).isEqualTo(!enough);
        if (verdict == Verdict.FASTER) {
            assertThat(Verdict.improvement(new Sample(one), new Sample(other))).isBetween(0.0, 1.0);
        }
    }

    @Property
    void aRunDoesNotDifferFromItself(@ForAll("times") List<Double> values) {
        Sample sample = new Sample(values);
        assertThat(Verdict.of(sample, sample)).isIn(Verdict.NOISE, Verdict.TOO_FEW);
        assertThat(Verdict.improvement(sample, sample)).isZero();
    }

    /** Counted: of all ways to choose which of the places belong to the one, those that take the first or the last ones. */
    @Property
    void theChanceOfAnErrorIsThatOfAnOrder(@ForAll @IntRange(min = 1, max = 6) int rounds) {
        int places = 2 * rounds;
        long orders = 0;
        long apart = 0;
        for (int chosen = 0; chosen < 1 << places; chosen++) {
            if (Integer.bitCount(chosen) == rounds) {
                orders++;
                apart += chosen == (1 << rounds) - 1 || chosen == ((1 << rounds) - 1) << rounds ? 1 : 0;
            }
        }
        assertThat(Verdict.chanceOfError(rounds, rounds)).isCloseTo((double) apart / orders, within(1e-12));
    }

    @Example
    void theOriginalMeasurementsFiguresReadAsTheyDidThere() {
        Sample without = new Sample(List.of(6.244));
        Sample warm = new Sample(List.of(5.276, 5.300));
        assertThat(Text.time(without)).isEqualTo("6.24 s");
        assertThat(Text.time(warm)).isEqualTo("5.29 s (5.28..5.30)");
        assertThat(Text.time(new Sample(List.of(0.1, 0.25, 0.3)))).isEqualTo("250 ms (100..300)");
        assertThat(Text.time(new Sample(List.of()))).isEqualTo(Text.NONE);
        assertThat(Text.percent(Verdict.improvement(without, new Sample(List.of(5.3125)))))
                .isEqualTo("14.9 %");
        assertThat(Text.count(new Sample(List.of(2_324_616.0)))).isEqualTo("2,324,616");
        assertThat(Verdict.of(without, warm)).isEqualTo(Verdict.TOO_FEW);
    }
}
