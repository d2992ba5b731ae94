package dev.torpor.benchmarks;

import dev.torpor.benchmarks.CheckpointRounds.Turn;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The driver's checkpoint and restore of a process: plain, and with the shim's huge pages, copies by many threads and kept buffer, by turns. */
final class CheckpointReport {
    private static final List<String> VARIANTS = List.of(
            CheckpointRounds.PLAIN, CheckpointRounds.HUGE, CheckpointRounds.KEPT_FIRST, CheckpointRounds.KEPT_SECOND);
    private static final String FIRST = "first";
    private static final String LATER = "later";

    private final Run run;
    private final int rounds;
    private final long memory;
    private final Report report;
    private final Map<String, Sample> samples = new LinkedHashMap<>();

    CheckpointReport(Run run) {
        this.run = run;
        rounds = run.settings().roundsOr(3);
        memory = run.settings().memoryOr((run.settings().quick() ? 64L : 8896L) << 20);
        report = new Report(
                "checkpoint",
                "The driver's checkpoint and restore of a process with " + (memory >> 20) + " MiB, median ms",
                "rounds",
                "variant",
                "checkpoint",
                "GB/s",
                "times plain",
                "restore",
                "GB/s",
                "times plain",
                "lock",
                "unlock",
                "outside the driver: suspend",
                "resume");
    }

    Report report() {
        List<String> command = Kit.command(CheckpointRounds.class, memory, 1 + rounds);
        Child.output(command, run.environment()).lines().forEach(this::take);
        for (String when : List.of(FIRST, LATER)) {
            VARIANTS.forEach(variant -> row(when, variant));
        }
        goals();
        report.remark(
                (1 + rounds)
                        + " rounds of all variants by turns from one controller that stays, host memory touched before; the first round apart. Ratios are medians of ratios within a round.");
        report.remark(
                "Plain and huge pages: one process each for all rounds. Kept buffer (TORPOR_BUFFER_KEEP=16G): a fresh process in each round, suspended twice. After each resume the GPU compared every word of the process's memory: all as before.");
        return report;
    }

    private void take(String line) {
        if (line.startsWith("# ")) {
            String[] parts = line.substring(2).split(": ", 2);
            report.remarkStatistics(parts[0], parts[1]);
            return;
        }
        Turn turn = Results.GSON.fromJson(line, Turn.class);
        String when = turn.round() == 0 ? FIRST : LATER;
        sample(when, turn.variant(), "checkpoint").add(turn.checkpoint());
        sample(when, turn.variant(), "restore").add(turn.restore());
        sample(when, turn.variant(), "lock").add(turn.lock());
        sample(when, turn.variant(), "unlock").add(turn.unlock());
        sample(when, turn.variant(), "outside suspend").add(turn.outsideSuspend());
        sample(when, turn.variant(), "outside resume").add(turn.outsideResume());
    }

    private Sample sample(String when, String variant, String what) {
        return samples.computeIfAbsent(when + "/" + variant + "/" + what, name -> report.sample(name, "ms"));
    }

    private void row(String when, String variant) {
        report.row(
                when,
                variant,
                millis(when, variant, "checkpoint", 0),
                speed(when, variant, "checkpoint"),
                Report.number(ratio(when, variant, "checkpoint"), 2),
                millis(when, variant, "restore", 0),
                speed(when, variant, "restore"),
                Report.number(ratio(when, variant, "restore"), 2),
                millis(when, variant, "lock", 2),
                millis(when, variant, "unlock", 2),
                millis(when, variant, "outside suspend", 2),
                millis(when, variant, "outside resume", 2));
    }

    private String millis(String when, String variant, String what, int digits) {
        return Report.number(sample(when, variant, what).median(), digits);
    }

    private String speed(String when, String variant, String what) {
        return Report.number(memory / 1e6 / sample(when, variant, what).median(), 1);
    }

    private double ratio(String when, String variant, String what) {
        return sample(when, variant, what)
                .over(sample(when, CheckpointRounds.PLAIN, what))
                .median();
    }

    private void goals() {
        report.goal(Goal.atMost(
                "checkpoint with huge pages, times plain", 0.58, ratio(LATER, CheckpointRounds.HUGE, "checkpoint")));
        report.goal(Goal.atMost(
                "restore with huge pages, times plain", 0.78, ratio(LATER, CheckpointRounds.HUGE, "restore")));
        report.goal(Goal.atMost(
                "second checkpoint with a kept buffer, times plain",
                0.42,
                ratio(LATER, CheckpointRounds.KEPT_SECOND, "checkpoint")));
    }
}
