package dev.torpor.benchmarks;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.TorporException;
import dev.torpor.mps.Mps;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.results.RunResult;

/** What initialising a GPU costs, phase by phase: alone, beside a keeper, and under MPS; in Java and in C, by turns. */
final class InitReport {
    private static final List<String> PROGRAMS = List.of("C", "ffm", "jna");

    /** A phase by its name in the table, in {@link FirstUseBenchmark.Phases}, and in cold-start's JSON. */
    private enum Step {
        LOAD("library load", "libraryLoad", "dlopen"),
        LINK("link", "link", "symbols"),
        INIT("cuInit", "cuInit", "cuInit"),
        GET("device get", "deviceGet", "cuDeviceGet"),
        RETAIN("context retain", "contextRetain", "cuDevicePrimaryCtxRetain"),
        ALLOCATE("first allocation", "firstAllocation", "firstAllocation"),
        TOTAL("total", "total", "total");

        private final String title;
        private final String java;
        private final String c;

        Step(String title, String java, String c) {
            this.title = title;
            this.java = java;
            this.c = c;
        }
    }

    private final Run run;
    private final int rounds;
    private final Report report = new Report(
            "init",
            "Initialising a GPU, median ms",
            "beside it",
            "program",
            "library load",
            "link",
            "cuInit",
            "device get",
            "context retain",
            "first allocation",
            "total",
            "total, times C's");
    private final Map<String, Sample> samples = new LinkedHashMap<>();

    InitReport(Run run) {
        this.run = run;
        rounds = run.settings().roundsOr(10);
    }

    Report report() {
        measure("nobody", run.environment());
        keeper();
        mps();
        report.remark(rounds + " fresh processes of each, by turns; first allocation: 2 MiB.");
        return report;
    }

    private void keeper() {
        List<String> command = List.of(Kit.program("cold-start").toString(), "--hold");
        try (Child keeper = Child.start(command, run.environment())) {
            keeper.line();
            measure("keeper", run.environment());
        }
        compare("keeper");
    }

    private void mps() {
        if (run.machine().simulated()) {
            report.remark("MPS skipped: no GPU, so no MPS.");
            return;
        }
        Path folder = Kit.temporaryDirectory("torpor-mps-");
        try {
            mps(Mps.at(folder.resolve("pipe"), folder.resolve("log")).variables(run.environment()));
        } catch (TorporException | IllegalStateException | ChildFailure e) {
            report.remark("MPS skipped: " + String.valueOf(e.getMessage()).replace('\n', ' '));
        } finally {
            Kit.delete(folder);
        }
    }

    /** With a daemon of its own, so that it serves only who is told of it; what comes next is alone again. */
    private void mps(Mps mps) {
        Map<String, String> environment = new HashMap<>(run.environment());
        environment.putAll(mps.clientEnvironment());
        mps.start();
        try {
            cold(environment); // starts the server
            measure("MPS", environment);
            compare("MPS");
        } finally {
            mps.forceQuit(Duration.ofSeconds(10), Duration.ofSeconds(30));
        }
    }

    private void measure(String beside, Map<String, String> environment) {
        Forks forks = new Forks(run.scratch(), environment);
        for (int round = 0; round < rounds; round++) {
            JsonObject c = cold(environment);
            for (Step step : Step.values()) {
                sample(beside, "C", step).add(c.get(step.c).getAsDouble() / 1e3);
            }
            for (RunResult result : Forks.run(forks.options(FirstUseBenchmark.class))) {
                String provider = result.getParams().getParam("provider");
                for (Step step : Step.values()) {
                    double micros = Forks.counter(result, step.java);
                    sample(beside, provider, step).add(micros / 1e3);
                }
            }
        }
        PROGRAMS.forEach(program -> row(beside, program));
    }

    private static JsonObject cold(Map<String, String> environment) {
        String json = Child.output(List.of(Kit.program("cold-start").toString()), environment);
        return JsonParser.parseString(json).getAsJsonObject();
    }

    private Sample sample(String beside, String program, Step step) {
        String name = beside + "/" + program + "/" + step.title;
        return samples.computeIfAbsent(name, key -> report.sample(key, "ms"));
    }

    private void row(String beside, String program) {
        List<String> cells = new ArrayList<>(List.of(beside, program));
        for (Step step : Step.values()) {
            cells.add(Report.number(sample(beside, program, step).median(), 2));
        }
        double total = sample(beside, program, Step.TOTAL).median();
        cells.add(Report.number(total / sample(beside, "C", Step.TOTAL).median(), 2));
        report.row(cells.toArray(new String[0]));
    }

    private void compare(String beside) {
        for (String program : PROGRAMS) {
            report.remark("%s beside %s: cuInit %.1f times as fast as alone, all of it %.2f times."
                    .formatted(program, beside, gain(beside, program, Step.INIT), gain(beside, program, Step.TOTAL)));
        }
    }

    private double gain(String beside, String program, Step step) {
        return sample("nobody", program, step).median()
                / sample(beside, program, step).median();
    }
}
