package dev.torpor.benchmarks;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * The price of one state query: C, FFM, JNA and bytedeco ask the same target. The driver's share of it drifts by more than a
 * binding costs, so each Java program is compared with C right before and right after it, many times.
 */
final class StateReport {
    private static final List<String> PROGRAMS = List.of("ffm", "jna", "bytedeco", "typed");

    private final Run run;
    private final boolean quick;
    private final Report report = new Report(
            "state",
            "State query (cuCheckpointProcessGetState), ns a call",
            "program",
            "median",
            "above C, paired: median",
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
            Forks forks = new Forks(run.scratch(), run.environment());
            for (int turn = 0; turn < (quick ? 1 : 8); turn++) {
                PROGRAMS.forEach(program -> compare(forks, program, target.pid()));
            }
        }
        report.row("C", Report.number(c.median(), 0), "0", "–", "1.000", "–");
        PROGRAMS.forEach(this::row);
        report.remark(
                "Medians of the means of batches, in C as in JMH. 'typed' is GpuProcess.state() over FFM, which also reads /proc to make sure that the pid still means the same process.");
        report.remark(
                "JMH itself allocates some kB an iteration, which counts as a few bytes a call: bytedeco, whose call allocates nothing, shows how many.");
        return report;
    }

    private void compare(Forks forks, String program, long pid) {
        double before = c(pid);
        Sample java = new Sample(program, "ns");
        Forks.run(options(forks, program, pid)).forEach(result -> take(result, program, java));
        sample(times, program).add(java.median());
        sample(above, program).add(java.median() - (before + c(pid)) / 2);
    }

    private ChainedOptionsBuilder options(Forks forks, String program, long pid) {
        return forks.options(StateQueryBenchmark.class, program)
                .jvmArgsAppend("-D" + StateQueryBenchmark.PID + "=" + pid)
                .forks(1)
                .warmupIterations(quick ? 1 : 4)
                .warmupTime(TimeValue.milliseconds(quick ? 100 : 300))
                .measurementIterations(quick ? 3 : 10)
                .measurementTime(TimeValue.milliseconds(quick ? 30 : 100))
                .addProfiler(GCProfiler.class);
    }

    private void take(RunResult result, String program, Sample java) {
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            for (IterationResult iteration : fork.getIterationResults()) {
                java.add(iteration.getPrimaryResult().getScore());
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
            throw new IllegalStateException("an unexpected benchmark: " + program);
        }
        return sample;
    }

    private double c(long pid) {
        List<String> command =
                List.of(Kit.program("state-query").toString(), Long.toString(pid), quick ? "2000" : "4000");
        JsonObject result =
                JsonParser.parseString(Child.output(command, run.environment())).getAsJsonObject();
        double median = result.get("median").getAsDouble();
        c.add(median);
        return median;
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
