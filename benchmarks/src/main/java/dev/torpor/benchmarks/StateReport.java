package dev.torpor.benchmarks;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/** The price of one state query: loops in C, FFM, JNA and bytedeco by turns, and what each allocates, from JMH. */
final class StateReport {
    private static final List<String> PROGRAMS = List.of("ffm", "jna", "bytedeco", "typed");

    private final Run run;
    private final boolean quick;
    private final Report report = new Report(
            "state",
            "State query (cuCheckpointProcessGetState), ns a call",
            "program",
            "median",
            "above C: median",
            "quartiles",
            "times C's",
            "bytes allocated a call");
    private final Sample c = report.sample("C", "ns");
    private final Map<String, Sample> times = new LinkedHashMap<>();
    private final Map<String, Sample> above = new LinkedHashMap<>();
    private final Map<String, Sample> garbage = new LinkedHashMap<>();

    StateReport(Run run) {
        this.run = run;
        quick = run.settings().quick();
        for (String program : PROGRAMS) {
            times.put(program, report.sample(program, "ns"));
            above.put(program, report.sample(program + " above C", "ns"));
            garbage.put(program, report.sample(program + " allocation", "B"));
        }
    }

    Report report() {
        try (Child target = run.target()) {
            loops(target.pid());
            Forks forks = new Forks(run.scratch(), run.environment());
            Forks.run(options(forks, target.pid())).forEach(this::takeGarbage);
        }
        report.row("C", Report.number(c.median(), 0), "0", "–", "1.000", "–");
        PROGRAMS.forEach(this::row);
        report.remark(
                "One process and one thread runs all loops, the one in C (called through FFM once for 200 queries) before and after each other: what the driver takes drifts by more than a binding costs. 'above C' is the median of these paired differences.");
        report.remark(
                "'typed' is GpuProcess.state() over FFM, which also reads /proc to make sure that the pid still means the same process.");
        report.remark(
                "JMH itself allocates some kB an iteration, which counts as a few bytes a call: bytedeco, whose call allocates nothing, shows how many.");
        return report;
    }

    private void loops(long pid) {
        List<String> command = List.of(
                Kit.java(),
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-Dtorpor.native=" + Kit.natives(),
                "-cp",
                System.getProperty("java.class.path"),
                QueryLoops.class.getName(),
                Kit.own().resolve("libquery.so").toString(),
                Long.toString(pid),
                quick ? "3" : "300");
        for (String line : Child.output(command, run.environment()).split("\n")) {
            String[] words = line.split(" ");
            double java = Double.parseDouble(words[2]);
            double around = Double.parseDouble(words[1]);
            c.add(around);
            sample(times, words[0]).add(java);
            sample(above, words[0]).add(java - around);
        }
    }

    private ChainedOptionsBuilder options(Forks forks, long pid) {
        return forks.options(StateQueryBenchmark.class)
                .jvmArgsAppend("-D" + StateQueryBenchmark.PID + "=" + pid)
                .forks(1)
                .warmupIterations(quick ? 1 : 5)
                .warmupTime(TimeValue.milliseconds(quick ? 100 : 300))
                .measurementIterations(quick ? 3 : 5)
                .measurementTime(TimeValue.milliseconds(quick ? 30 : 300))
                .addProfiler(GCProfiler.class);
    }

    private void takeGarbage(RunResult result) {
        String program = result.getPrimaryResult().getLabel();
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            for (IterationResult iteration : fork.getIterationResults()) {
                iteration.getSecondaryResults().forEach((name, value) -> {
                    if (name.endsWith("gc.alloc.rate.norm")) {
                        sample(garbage, program).add(value.getScore());
                    }
                });
            }
        }
    }

    private static Sample sample(Map<String, Sample> samples, String program) {
        Sample sample = samples.get(program);
        if (sample == null) {
            throw new IllegalStateException("an unexpected program: " + program);
        }
        return sample;
    }

    private void row(String program) {
        Sample paired = sample(above, program);
        report.row(
                program,
                Report.number(sample(times, program).median(), 0),
                Report.number(paired.median(), 0),
                Report.number(paired.quantile(0.25), 0) + " to " + Report.number(paired.quantile(0.75), 0),
                Report.number(1 + paired.median() / c.median(), 3),
                Report.number(sample(garbage, program).median(), 1));
    }
}
