package dev.torpor.benchmarks;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Copies between host and device memory of every size: plain, pinned, and with the shim, by turns in processes that stay. */
final class CopyReport {
    private static final List<Integer> STREAMS = List.of(1, 4, 8, 12, 16);
    private static final String JUDGED = "shim, 12 streams";
    private static final List<String> DIRECTIONS = List.of("from-gpu", "to-gpu");
    private static final List<Long> SIZES = List.of(
            64L << 10, 256L << 10, 1L << 20, 4L << 20, 8L << 20, 16L << 20, 64L << 20, 256L << 20, 1L << 30, 8L << 30);
    private static final List<Long> QUICK_SIZES = List.of(64L << 10, 1L << 20, 16L << 20);
    private static final long MANY_SAMPLES_BELOW = 1L << 30;
    private static final int THREADS = 50;

    /** One way to copy, and the process that copies so. */
    private record Copier(String name, Child process) {}

    /** A line of the table: copies of a size, by one thread or by many at once. */
    private record Work(String title, long size, String command, int samples) {}

    private final Run run;
    private final boolean quick;
    private final int rounds;
    private final List<Work> works = new ArrayList<>();
    private final Map<String, Sample> samples = new LinkedHashMap<>();
    private final long largest;
    private final Report report;

    CopyReport(Run run) {
        this.run = run;
        quick = run.settings().quick();
        rounds = run.settings().roundsOr(4);
        largest = run.settings().memoryOr(quick ? 16L << 20 : 8L << 30);
        report = new Report(
                "copy", "Copies between host and device memory, median GB/s (times plain, share of pinned)", columns());
        works();
    }

    private static String[] columns() {
        List<String> columns = new ArrayList<>(List.of("direction", "size", "plain", "pinned"));
        STREAMS.forEach(streams -> columns.add(shim(streams)));
        return columns.toArray(new String[0]);
    }

    private static String shim(int streams) {
        return "shim, " + streams + (streams == 1 ? " stream" : " streams");
    }

    private void works() {
        List<Long> sizes = new ArrayList<>(quick ? QUICK_SIZES : SIZES);
        sizes.removeIf(size -> size >= largest);
        sizes.add(largest);
        for (long size : sizes) {
            works.add(new Work(text(size), size, "measure", quick ? 1 : size < MANY_SAMPLES_BELOW ? 3 : 1));
        }
        int copies = quick ? 2 : 20;
        String title = "64 KiB, %d threads of %d copies".formatted(THREADS, copies);
        works.add(new Work(title, 64L << 10, "threads " + THREADS + " " + copies, quick ? 1 : 20));
    }

    private static String text(long bytes) {
        return bytes % (1L << 30) == 0
                ? (bytes >> 30) + " GiB"
                : bytes % (1L << 20) == 0 ? (bytes >> 20) + " MiB" : (bytes >> 10) + " KiB";
    }

    Report report() {
        List<Copier> copiers = new ArrayList<>();
        try {
            measureAll(copiers);
        } catch (IllegalStateException e) {
            copiers.forEach(copier -> closeAfter(e, copier.process()));
            throw e;
        }
        copiers.forEach(copier -> copier.process().close());
        DIRECTIONS.forEach(direction -> works.forEach(work -> row(direction, work)));
        goals();
        report.remark(
                (rounds + 1)
                        + " rounds of all variants by turns, the first not counted, in processes that stay; every word verified after each sample. Copies smaller than "
                        + span()
                        + " are repeated, each of other memory, until so much is copied. Ratios are medians of ratios within a round.");
        report.remark(
                "Pageable memory is an anonymous mapping, touched before. The shim's engine has been started, and is kept for the whole run (TORPOR_COPY_IDLE_MS).");
        return report;
    }

    /** The failure that came first is the one to tell. */
    private static void closeAfter(RuntimeException first, Child process) {
        try {
            process.close();
        } catch (RuntimeException e) {
            first.addSuppressed(e);
        }
    }

    private String span() {
        return quick ? "1M" : "256M";
    }

    private void measureAll(List<Copier> copiers) {
        copiers.add(start("plain", List.of(), Map.of()));
        copiers.add(start("pinned", List.of("--pinned"), Map.of()));
        STREAMS.forEach(streams -> copiers.add(start(shim(streams), List.of(), preload(streams))));
        copiers.forEach(this::awaitReady);
        for (int round = 0; round <= rounds; round++) {
            measure(copiers, round > 0);
            Collections.rotate(copiers, 1);
        }
        copiers.forEach(this::remarkStatistics);
    }

    private Map<String, String> preload(int streams) {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("LD_PRELOAD", Kit.shim().toString());
        environment.put("TORPOR_COPY", "1");
        environment.put("TORPOR_COPY_STREAMS", Integer.toString(streams));
        environment.put("TORPOR_COPY_IDLE_MS", "3600000");
        if (quick) {
            environment.put("TORPOR_COPY_START", "0");
        }
        return environment;
    }

    private Copier start(String name, List<String> options, Map<String, String> more) {
        List<String> command = new ArrayList<>(
                List.of(Kit.program("copy-bench").toString(), "--serve", "--sizes", Long.toString(largest)));
        command.addAll(List.of("--span", span(), "--warm", quick ? "32M" : "1G"));
        command.addAll(options);
        Map<String, String> environment = new LinkedHashMap<>(run.environment());
        environment.putAll(more);
        return new Copier(name, Child.start(command, environment));
    }

    /** A shim that was not loaded must not be measured as if it were. */
    private void awaitReady(Copier copier) {
        String version = field(parse(copier, copier.process().answer()), "shim");
        if (version.isEmpty() == copier.name().startsWith("shim")) {
            throw new IllegalStateException(copier.name() + ": "
                    + (version.isEmpty()
                            ? "libtorpor.so was not loaded"
                            : "a libtorpor.so is loaded: unset LD_PRELOAD"));
        }
    }

    private void measure(List<Copier> copiers, boolean counted) {
        for (Work work : works) {
            for (Copier copier : copiers) {
                for (String direction : DIRECTIONS) {
                    String[] words = work.command().split(" ", 2);
                    String command = "%s %s %d %d %s"
                            .formatted(
                                    words[0], direction, work.size(), work.samples(), words.length > 1 ? words[1] : "");
                    JsonObject answer = parse(copier, copier.process().ask(command.strip()));
                    if (counted) {
                        sample(direction, work, copier.name())
                                .add(answer.get("median").getAsDouble());
                    }
                }
            }
        }
    }

    private static JsonObject parse(Copier copier, String line) {
        JsonObject answer = JsonParser.parseString(line).getAsJsonObject();
        if (answer.has("failed")) {
            throw new IllegalStateException(copier.name() + ": " + line);
        }
        return answer;
    }

    private static String field(JsonObject answer, String name) {
        return answer.get(name).getAsString();
    }

    private void remarkStatistics(Copier copier) {
        String statistics = field(parse(copier, copier.process().ask("shim")), "statistics");
        if (!statistics.isEmpty()) {
            report.remarkStatistics(copier.name(), statistics);
        }
    }

    private Sample sample(String direction, Work work, String copier) {
        return samples.computeIfAbsent(
                direction + "/" + work.title() + "/" + copier, name -> report.sample(name, "GB/s"));
    }

    private void row(String direction, Work work) {
        List<String> cells = new ArrayList<>(List.of(direction, work.title()));
        for (String copier : report.columns.subList(2, report.columns.size())) {
            Sample speed = sample(direction, work, copier);
            cells.add("%s (%s×, %s %%)"
                    .formatted(
                            Report.number(speed.median(), 2),
                            Report.number(ratio(direction, work, copier, "plain"), 2),
                            Report.number(100 * ratio(direction, work, copier, "pinned"), 0)));
        }
        report.row(cells.toArray(new String[0]));
    }

    private double ratio(String direction, Work work, String copier, String other) {
        return sample(direction, work, copier)
                .over(sample(direction, work, other))
                .median();
    }

    private void goals() {
        Work threads = works.get(works.size() - 1);
        Work whole = works.get(works.size() - 2);
        String of = ", " + whole.title() + ", " + JUDGED + ",";
        report.goal(Goal.atLeast(
                "to-gpu" + of + " GB/s", 40, sample("to-gpu", whole, JUDGED).median()));
        report.goal(Goal.atLeast("to-gpu" + of + " times plain", 4.5, ratio("to-gpu", whole, JUDGED, "plain")));
        report.goal(Goal.atLeast(
                "from-gpu" + of + " GB/s", 48, sample("from-gpu", whole, JUDGED).median()));
        report.goal(Goal.atLeast("from-gpu" + of + " times plain", 4, ratio("from-gpu", whole, JUDGED, "plain")));
        report.goal(slowest());
        for (String direction : DIRECTIONS) {
            report.goal(Goal.atLeast(
                    direction + ", " + threads.title() + ", " + JUDGED + ", times plain",
                    0.97,
                    ratio(direction, threads, JUDGED, "plain")));
        }
    }

    /** The shim may cost nothing where it has nothing to give. */
    private Goal slowest() {
        double slowest = Double.MAX_VALUE;
        String where = "";
        for (String direction : DIRECTIONS) {
            for (Work work : works.subList(0, works.size() - 1)) {
                double ratio = ratio(direction, work, JUDGED, "plain");
                if (ratio < slowest) {
                    slowest = ratio;
                    where = direction + ", " + work.title();
                }
            }
        }
        return Goal.atLeast("slowest of all sizes (" + where + "), " + JUDGED + ", times plain", 0.97, slowest);
    }
}
