package dev.torpor.examples.bench;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * What an experiment found at one level.
 *
 * @param workload what was suspended and woken, in a few words
 * @param outcomes the first one is what the others are compared with
 * @param interrupted whether somebody stopped it
 * @param simulated whether no GPU was behind it
 */
record Findings(Depth depth, String workload, List<Outcome> outcomes, boolean interrupted, boolean simulated) {
    /** Like {@code Level snapshot: torpor-target with 8.7 GiB}. */
    String title() {
        return (simulated ? "SIMULATED: level " : "Level ") + depth + ": " + workload;
    }

    boolean isMeasured() {
        return outcomes.stream().anyMatch(Outcome::isMeasured);
    }

    /** Why nothing at all was tried; empty if something was. */
    Optional<String> skipped() {
        Set<Optional<String>> reasons = new HashSet<>();
        outcomes.forEach(outcome -> reasons.add(outcome.skipped()));
        return reasons.size() == 1 ? reasons.iterator().next() : Optional.empty();
    }

    /** The heading, and a row for each outcome. What has no value in any of them is left out. */
    List<List<String>> table() {
        List<List<String>> table = new ArrayList<>();
        table.add(List.of(
                "run",
                "total",
                "runtime restore",
                "CRIU restore",
                "pages",
                "images",
                "unpark",
                "direct read",
                "first verified word",
                "suspend",
                "improvement",
                "verdict"));
        outcomes.forEach(outcome -> table.add(row(outcome)));
        List<Integer> filled = IntStream.range(0, table.get(0).size())
                .filter(column ->
                        table.stream().skip(1).anyMatch(row -> !row.get(column).equals(Text.NONE)))
                .boxed()
                .toList();
        return table.stream().map(row -> filled.stream().map(row::get).toList()).toList();
    }

    private List<String> row(Outcome outcome) {
        return List.of(
                outcome.variant().toString(),
                Text.time(outcome.sample(Measure.TOTAL)),
                Text.time(outcome.sample(Measure.RUNTIME)),
                Text.time(outcome.sample(Measure.CRIU)),
                Text.count(outcome.sample(Measure.PAGES)),
                Text.bytes(outcome.sample(Measure.IMAGES)),
                outcome.variant().parks() ? Text.time(outcome.sample(Measure.UNPARK)) : Text.NONE,
                Text.time(outcome.sample(Measure.DIRECT_READ)),
                Text.time(outcome.sample(Measure.FIRST_WORD)),
                Text.time(outcome.sample(Measure.SUSPEND)),
                isComparable(outcome) ? Text.percent(improvement(outcome)) : Text.NONE,
                word(outcome));
    }

    boolean isComparable(Outcome outcome) {
        return outcome != outcomes.get(0)
                && outcome.isMeasured()
                && outcomes.get(0).isMeasured();
    }

    double improvement(Outcome outcome) {
        return Verdict.improvement(baseline(), outcome.sample(Measure.TOTAL));
    }

    Verdict verdict(Outcome outcome) {
        return outcome == outcomes.get(0) ? Verdict.BASELINE : Verdict.of(baseline(), outcome.sample(Measure.TOTAL));
    }

    private Sample baseline() {
        return outcomes.get(0).sample(Measure.TOTAL);
    }

    private String word(Outcome outcome) {
        if (!outcome.isMeasured()) {
            return outcome.goesOn() ? "not measured" : outcome.status();
        }
        String word = outcome == outcomes.get(0) || isComparable(outcome)
                ? verdict(outcome).toString()
                : "no baseline";
        return outcome.goesOn() ? word : word + ", then " + outcome.status();
    }

    /** What a reader has to know of this level, a sentence each. */
    List<String> remarks() {
        if (skipped().isPresent()) {
            return List.of("Skipped: " + skipped().get());
        }
        List<String> remarks = new ArrayList<>();
        if (interrupted) {
            remarks.add("It was interrupted: what is here was measured until then.");
        }
        for (Outcome outcome : outcomes) {
            if (!outcome.goesOn()) {
                remarks.add(outcome.variant() + " " + outcome.status() + ": " + outcome.reason());
            }
        }
        remarks.add("total: " + total() + ".");
        remarks.addAll(Parts.remarks(this));
        return remarks;
    }

    private static String load(String cached) {
        return "from the call of load, with " + cached
                + " in the page cache, to the moment when the process runs; runtime restore:"
                + " the program criu in it; CRIU restore: what CRIU itself tells; images: all files besides those with device"
                + " memory; unpark: reading those, and copying them to the GPU";
    }

    private String total() {
        return switch (depth) {
            case CHECKPOINT -> "from the call of resume to the moment when the process runs";
            case SNAPSHOT -> load("all of its files");
            case SNAPSHOT_COLD ->
                load("none of its files")
                        + "; direct read: a read of the files with device memory just before, by many threads and past the page"
                        + " cache, which unpark is to be compared with";
            case PODMAN ->
                "podman's restore, and the resume after it; runtime restore and CRIU restore: as podman's"
                        + " --print-stats tells. What is parked goes into a volume, and not into CRIU's images";
        };
    }
}
