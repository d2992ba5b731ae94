package dev.torpor.examples.bench;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.examples.cli.Json;
import dev.torpor.examples.cli.Table;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;

/**
 * What an experiment found, as text, JSON, Markdown and a page.
 *
 * @param findings of each level
 * @param rounds that were wanted
 * @param warmUps before the time that counts, in each round
 * @param host names and values, in their order
 */
public record Protocol(List<Findings> findings, int rounds, int warmUps, Map<String, String> host) {
    private static final String TITLE = "How fast it wakes up";
    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

    /** Whether anything was measured at all. */
    public boolean isMeasured() {
        return findings.stream().anyMatch(Findings::isMeasured);
    }

    /** The first that something failed with; what was skipped has not failed. */
    public Optional<RuntimeException> failure() {
        return findings.stream()
                .flatMap(found -> found.outcomes().stream())
                .flatMap(outcome -> outcome.failure().stream())
                .findFirst();
    }

    boolean simulated() {
        return findings.stream().anyMatch(Findings::simulated);
    }

    /** What holds for all levels, a sentence each. */
    List<String> notes() {
        List<String> notes = new ArrayList<>();
        notes.add(rounds + (rounds == 1 ? " round" : " rounds")
                + " of all runs by turns, a fresh process in each, which is woken "
                + (warmUps == 1 ? "once" : warmUps + " times")
                + " before the time that counts. Times are medians, with the least and the greatest.");
        notes.add(
                "A run is faster or slower if all of its rounds were faster or slower than all of the first run's; where the"
                        + " ranges overlap, the difference is within noise. " + chance());
        notes.add("First verified word: from the same moment as total until it has answered, and rightly.");
        if (!Host.ON.equals(host.get(Host.PERSISTENCE))) {
            notes.add(
                    "Persistence mode is not known to be on, so that a restore wants this program to have initialised CUDA: from"
                            + " the first wake-up on it held the GPU in all runs, as a keeper does.");
        }
        if (findings.stream().anyMatch(found -> found.depth().isSnapshot() && found.isMeasured())) {
            notes.add(
                    "A snapshot asks the driver for its devices: from the first save on this program held the GPU in all runs, as"
                            + " a keeper does.");
        }
        for (Outcome outcome : findings.get(0).outcomes()) {
            notes.add(outcome.variant() + ": " + outcome.variant().about() + ".");
        }
        return notes;
    }

    private String chance() {
        return rounds < 2
                ? "One round alone has no range: more --rounds tell more."
                : String.format(
                        Locale.ROOT,
                        "Two that do not differ at all are told apart by %d rounds in %.2g %% of all cases.",
                        rounds,
                        100 * Verdict.chanceOfError(rounds, rounds));
    }

    /** For a terminal. */
    public String text() {
        StringJoiner text = new StringJoiner("\n");
        host.forEach((name, value) -> text.add(String.format("%-17s %s", name, value)));
        for (Findings found : findings) {
            text.add("").add(found.title()).add("");
            if (found.skipped().isEmpty()) {
                text.add(aligned(found.table())).add("");
            }
            found.remarks().forEach(remark -> text.add("- " + remark));
        }
        text.add("");
        notes().forEach(note -> text.add("- " + note));
        return text.toString();
    }

    private static String aligned(List<List<String>> rows) {
        Table table = new Table(rows.get(0).toArray(new String[0]));
        rows.subList(1, rows.size()).forEach(row -> table.add(row.toArray(new String[0])));
        return table.toString();
    }

    String markdown() {
        StringJoiner text = new StringJoiner("\n", "", "\n");
        text.add("# " + title()).add("");
        host.forEach((name, value) -> text.add("- " + name + ": " + value));
        for (Findings found : findings) {
            text.add("").add("## " + found.title()).add("");
            if (found.skipped().isEmpty()) {
                List<List<String>> rows = found.table();
                text.add(line(rows.get(0)));
                text.add(line(rows.get(0).stream().map(column -> "---").toList()));
                rows.subList(1, rows.size()).forEach(row -> text.add(line(row)));
                text.add("");
            }
            found.remarks().forEach(remark -> text.add("- " + remark));
        }
        text.add("").add("## How it was measured").add("");
        notes().forEach(note -> text.add("- " + note));
        return text.toString();
    }

    String title() {
        return (simulated() ? "SIMULATED: " : "") + TITLE;
    }

    private static String line(List<String> cells) {
        return "| " + String.join(" | ", cells) + " |";
    }

    /** All values of all rounds; times in seconds. */
    public JsonObject json() {
        JsonObject json = new JsonObject();
        json.addProperty("simulated", simulated());
        json.addProperty("rounds", rounds);
        json.addProperty("warmUps", warmUps);
        JsonObject facts = new JsonObject();
        host.forEach((name, value) -> facts.addProperty(Json.identifier(name), value));
        json.add("host", facts);
        JsonArray levels = new JsonArray();
        findings.forEach(found -> levels.add(of(found)));
        json.add("levels", levels);
        return json;
    }

    private static JsonObject of(Findings found) {
        JsonObject json = new JsonObject();
        json.addProperty("level", found.depth().toString());
        json.addProperty("workload", found.workload());
        json.addProperty("interrupted", found.interrupted());
        JsonArray runs = new JsonArray();
        found.outcomes().forEach(outcome -> runs.add(of(found, outcome)));
        json.add("runs", runs);
        return json;
    }

    private static JsonObject of(Findings found, Outcome outcome) {
        JsonObject json = new JsonObject();
        json.addProperty("run", outcome.variant().key());
        json.addProperty("status", outcome.status());
        if (!outcome.reason().isEmpty()) {
            json.addProperty("reason", outcome.reason());
        }
        if (found.isComparable(outcome)) {
            json.addProperty("improvement", found.improvement(outcome));
            json.addProperty("verdict", found.verdict(outcome).toString());
        }
        JsonObject parts = new JsonObject();
        Parts.of(found, outcome).forEach((part, seconds) -> parts.addProperty(part.jsonKey(), seconds));
        json.add("parts", parts);
        JsonArray rounds = new JsonArray();
        outcome.rounds().forEach(round -> rounds.add(of(round)));
        json.add("rounds", rounds);
        return json;
    }

    private static JsonObject of(Map<Measure, Double> round) {
        JsonObject json = new JsonObject();
        for (Measure measure : Measure.values()) {
            Double value = round.get(measure);
            if (value != null) {
                json.addProperty(measure.key(), value);
            }
        }
        return json;
    }

    /**
     * Writes {@code bench.json}, {@code bench.md} and {@code bench.html}, which needs nothing besides.
     *
     * @param folder that is there
     */
    public void write(Path folder) throws IOException {
        Files.writeString(folder.resolve("bench.json"), GSON.toJson(json()) + "\n");
        Files.writeString(folder.resolve("bench.md"), markdown());
        Files.writeString(folder.resolve("bench.html"), Page.of(this));
    }
}
