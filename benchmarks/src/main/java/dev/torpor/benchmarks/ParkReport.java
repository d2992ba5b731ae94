package dev.torpor.benchmarks;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.benchmarks.ParkRounds.Pinned;
import dev.torpor.benchmarks.ParkRounds.Turn;
import dev.torpor.benchmarks.StackedBars.Part;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;

/** Parking of several sizes, and the driver's checkpoint of a process that is parked first beside the driver alone, by turns. */
final class ParkReport {
    private static final long GIB = 1L << 30;
    private static final long MIDDLE = 32 * GIB;

    /** A line of the table. */
    private record Line(String variant, String when, long memory) implements Comparable<Line> {
        private static final List<String> ORDER = List.of(
                ParkRounds.PLAIN,
                ParkRounds.SHIM,
                ParkRounds.LEAN,
                ParkRounds.PREPARED,
                ParkRounds.SMALL_BLOCKS,
                ParkRounds.PARK);

        @Override
        public int compareTo(Line other) {
            return Comparator.comparingInt((Line line) -> ORDER.indexOf(line.variant))
                    .thenComparingLong(Line::memory)
                    .thenComparing(Line::when)
                    .compare(this, other);
        }

        String name() {
            String size = memory % GIB == 0 ? (memory >> 30) + " GiB" : (memory >> 20) + " MiB";
            return "%s, %s, %s".formatted(size, variant, when);
        }
    }

    private final Run run;
    private final boolean quick;
    private final int rounds;
    private final long memory;
    private final Report report;
    private final Map<String, Sample> samples = new LinkedHashMap<>();
    private final Map<Line, List<Turn>> turns = new TreeMap<>();
    private final Map<Integer, Turn> plain = new LinkedHashMap<>();

    ParkReport(Run run) {
        this.run = run;
        quick = run.settings().quick();
        rounds = run.settings().roundsOr(3);
        memory = run.settings().memoryOr((quick ? 16L : 8896L) << 20);
        report = new Report(
                "park",
                "Parking, and suspending with the shim beside the driver alone, median ms",
                "what",
                "park",
                "lock",
                "checkpoint",
                "suspend as a whole",
                "times the driver alone",
                "restore",
                "unlock",
                "unpark",
                "resume as a whole",
                "times the driver alone",
                "copies out, GB/s (share of pinned)",
                "copies in, GB/s (share of pinned)");
    }

    Report report() {
        long more = quick ? 2 * memory : MIDDLE;
        List<String> command = Kit.command(ParkRounds.class, rounds, memory, memory, more, 2 * more);
        Child.output(command, run.environment()).lines().forEach(this::take);
        turns.keySet().forEach(this::row);
        goals();
        report.chart = chart();
        remarks();
        return report;
    }

    private void take(String text) {
        if (text.startsWith("# ")) {
            String[] parts = text.substring(2).split(": ", 2);
            report.remarkStatistics(parts[0], parts[1]);
            return;
        }
        JsonObject json = JsonParser.parseString(text).getAsJsonObject();
        if (json.has("direction")) {
            Pinned pinned = Results.GSON.fromJson(json, Pinned.class);
            samples.computeIfAbsent(pinned.direction(), name -> report.sample("pinned, " + name, "GB/s"))
                    .add(pinned.speed());
            return;
        }
        Turn turn = Results.GSON.fromJson(json, Turn.class);
        if (turn.variant().equals(ParkRounds.PLAIN)) {
            plain.put(turn.round(), turn);
        }
        if (turn.round() > 0 || isPark(turn.variant())) { // else the round that warms the machine up
            turns.computeIfAbsent(new Line(turn.variant(), turn.when(), turn.memory()), line -> new ArrayList<>())
                    .add(turn);
        }
    }

    private static boolean isPark(String variant) {
        return variant.equals(ParkRounds.PARK) || variant.equals(ParkRounds.SMALL_BLOCKS);
    }

    private void row(Line line) {
        report.row(
                line.name(),
                millis(line, "park", Turn::park),
                millis(line, "lock", Turn::lock),
                millis(line, "checkpoint", Turn::checkpoint),
                millis(line, "suspend", Turn::down),
                Report.number(share(line, Turn::down), 3),
                millis(line, "restore", Turn::restore),
                millis(line, "unlock", Turn::unlock),
                millis(line, "unpark", Turn::unpark),
                millis(line, "resume", Turn::up),
                Report.number(share(line, Turn::up), 3),
                speed(line, "from-gpu", Turn::copyOut),
                speed(line, "to-gpu", Turn::copyIn));
    }

    private Sample sample(Line line, String what, String unit, ToDoubleFunction<Turn> of) {
        return samples.computeIfAbsent(line.name() + "/" + what, name -> {
            Sample sample = report.sample(name, unit);
            turns.getOrDefault(line, List.of()).forEach(turn -> sample.add(of.applyAsDouble(turn)));
            return sample;
        });
    }

    private String millis(Line line, String what, ToDoubleFunction<Turn> of) {
        double median = sample(line, what, "ms", of).median();
        return median == 0 ? "–" : Report.number(median, median < 10 ? 2 : 0);
    }

    /** Of what the driver alone took in the same round. */
    private double share(Line line, ToDoubleFunction<Turn> of) {
        Sample shares = new Sample(line.name(), "");
        if (!isPark(line.variant())) {
            for (Turn turn : turns.getOrDefault(line, List.of())) {
                Turn alone = plain.get(turn.round());
                shares.add(alone == null ? Double.NaN : of.applyAsDouble(turn) / of.applyAsDouble(alone));
            }
        }
        return shares.median();
    }

    private double shareOfPinned(Line line, String direction, ToDoubleFunction<Turn> of) {
        return sample(line, "copies " + direction, "GB/s", of).median() / pinned(direction);
    }

    private double pinned(String direction) {
        Sample sample = samples.get(direction);
        return sample == null ? Double.NaN : sample.median();
    }

    private String speed(Line line, String direction, ToDoubleFunction<Turn> of) {
        if (line.variant().equals(ParkRounds.PLAIN)) {
            return "–";
        }
        return "%s (%s)"
                .formatted(
                        Report.number(
                                sample(line, "copies " + direction, "GB/s", of).median(), 1),
                        Report.number(shareOfPinned(line, direction, of), 2));
    }

    private void goals() {
        goalsOfPark(new Line(ParkRounds.PARK, ParkRounds.LATER, memory), 0.25, 0.30);
        Line middle = new Line(ParkRounds.PARK, ParkRounds.LATER, MIDDLE);
        if (turns.containsKey(middle)) {
            goalsOfPark(middle, 0.85, 1.0);
        }
        Line later = new Line(ParkRounds.SHIM, ParkRounds.LATER, memory);
        Line first = new Line(ParkRounds.SHIM, ParkRounds.FIRST, memory);
        String of = ", times the driver alone,";
        report.goal(Goal.atMost("suspend, from the second on" + of, 0.075, share(later, Turn::down)));
        report.goal(Goal.atMost("resume, from the second on" + of, 0.23, share(later, Turn::up)));
        report.goal(Goal.atMost("first suspend of a process" + of, 0.20, share(first, Turn::down)));
    }

    private void goalsOfPark(Line line, double down, double up) {
        double park = sample(line, "park", "ms", Turn::park).median() / 1e3;
        double unpark = sample(line, "unpark", "ms", Turn::unpark).median() / 1e3;
        report.goal(Goal.atMost(line.name() + ": park, seconds,", down, park));
        report.goal(Goal.atMost(line.name() + ": unpark, seconds,", up, unpark));
        report.goal(Goal.atLeast(
                line.name() + ": copies out, share of pinned,", 0.75, shareOfPinned(line, "from-gpu", Turn::copyOut)));
        report.goal(Goal.atLeast(
                line.name() + ": copies in, share of pinned,", 0.75, shareOfPinned(line, "to-gpu", Turn::copyIn)));
    }

    private String chart() {
        StackedBars bars = new StackedBars(
                "Suspend and resume", "seconds (medians), " + run.machine().gpu());
        turns.keySet()
                .forEach(line -> bars.add(
                        line.name(),
                        List.of(
                                part("park", line, Turn::park),
                                part("lock", line, Turn::lock),
                                part("checkpoint", line, Turn::checkpoint)),
                        List.of(
                                part("restore", line, Turn::restore),
                                part("unlock", line, Turn::unlock),
                                part("unpark", line, Turn::unpark))));
        return bars.svg(run.machine().simulated());
    }

    private Part part(String step, Line line, ToDoubleFunction<Turn> of) {
        return new Part(step, sample(line, step, "ms", of).median() / 1e3);
    }

    private void remarks() {
        report.remark(
                "Pinned copies in the same run: %s GB/s from the GPU, %s to it (copy-bench, by turns with parking)."
                        .formatted(Report.number(pinned("from-gpu"), 1), Report.number(pinned("to-gpu"), 1)));
        report.remark(
                "park to unpark are the steps, as the controller sees them; 'as a whole' is from the call of suspend or resume to its end, checks and all, and is what is compared. The speed of copies is that while they ran, without waiting, mapping and releasing.");
        report.remark(
                "Parking: one process for each line; its first park makes the arena, and is apart. Allocations of 64 MiB where nothing else is said.");
        report.remark(
                "Suspends: %d rounds of all variants by turns from one controller that stays, host memory touched before; a first round is not counted. Driver alone: one process for all rounds. Shim: a fresh process in each round, suspended three times (prepared: once, after the command prepare). TORPOR_BUFFER_KEEP=16G; lean: CUDA_DEVICE_MAX_CONNECTIONS=1 CUDA_SCALE_LAUNCH_QUEUES=0.25x. Ratios are medians of ratios within a round."
                        .formatted(rounds));
        report.remark("After each resume the GPU compared every word of the process's memory: all as before.");
    }
}
