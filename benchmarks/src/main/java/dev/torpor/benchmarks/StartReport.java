package dev.torpor.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** From the start of a process to its first answer and to a primary context: each program afresh, by turns. */
final class StartReport {
    /** A program and how to start it. */
    private record Contender(String what, String name, List<String> command) {}

    private final Run run;
    private final int rounds;
    private final Report report = new Report(
            "start",
            "Process start to first answer and to a primary context, median ms of wall time",
            "until",
            "program",
            "median",
            "best",
            "p90",
            "above C",
            "times C's",
            "of it: to main",
            "open",
            "the rest");
    private final Map<String, Sample> samples = new LinkedHashMap<>();

    StartReport(Run run) {
        this.run = run;
        rounds = run.settings().roundsOr(10);
    }

    Report report() throws IOException {
        List<Contender> answers;
        List<Contender> contexts = contenders("primary context", "context", "context");
        try (Child target = run.target()) {
            answers = contenders("first answer", "answer", "answer", Long.toString(target.pid()));
            answers.add(typed(target.pid()));
            race(answers);
        }
        race(contexts);
        answers.forEach(this::row);
        contexts.forEach(this::row);
        report.remark(
                rounds
                        + " fresh processes of each, by turns, nobody else on the GPU in the second half (a target in the first). Wall time from before the process is made until its one byte is read, measured alike for all.");
        report.remark(
                "aot: with an AOT cache made from a run on the simulator, each program its own. early: CudaOptions.initializeEarly(0). All JVMs with the serial collector and C1 alone.");
        return report;
    }

    private List<Contender> contenders(String what, String verb, String... arguments) throws IOException {
        AotCaches caches = new AotCaches(run);
        List<Contender> list = new ArrayList<>();
        List<String> c = new ArrayList<>(List.of(Kit.own().resolve("start").toString()));
        c.addAll(List.of(arguments));
        list.add(new Contender(what, "C", c));
        for (Variant plain : List.of(Variant.ffm(), Variant.jna(), Variant.bytedeco())) {
            Variant aot = caches.with(plain);
            if (verb.equals("context") && plain.name().equals("ffm")) {
                list.add(new Contender(what, "ffm, aot, early", aot.command(List.of(), "early")));
                list.add(new Contender(what, "ffm, early", plain.command(List.of(), "early")));
            }
            list.add(new Contender(what, plain.name() + ", aot", aot.command(List.of(), arguments)));
            list.add(new Contender(what, plain.name(), plain.command(List.of(), arguments)));
        }
        return list;
    }

    private Contender typed(long pid) throws IOException {
        Variant aot = new AotCaches(run).with(Variant.ffm());
        return new Contender("first answer", "ffm typed, aot", aot.command(List.of(), "state", Long.toString(pid)));
    }

    /** One round more than is counted: the first one warms files up. */
    private void race(List<Contender> contenders) {
        for (int round = 0; round <= rounds; round++) {
            for (Contender contender : contenders) {
                start(contender, round > 0);
            }
        }
    }

    private void start(Contender contender, boolean counted) {
        long begin = System.nanoTime();
        try (Child child = Child.start(contender.command(), run.environment())) {
            int ready = child.read();
            long there = System.nanoTime();
            String times = child.line();
            if (ready == '!' && times != null && counted) {
                take(contender, begin, there, times.split(" ", -1));
            }
        }
    }

    private void take(Contender contender, long begin, long there, String[] milestones) {
        long main = Long.parseLong(milestones[0]);
        long opened = Long.parseLong(milestones[1]);
        sample(contender, "").add((there - begin) / 1e6);
        sample(contender, "/to main").add((main - begin) / 1e6);
        sample(contender, "/open").add((opened - main) / 1e6);
        sample(contender, "/rest").add((there - opened) / 1e6);
    }

    private Sample sample(Contender contender, String part) {
        return sample(contender.what(), contender.name(), part);
    }

    private Sample sample(String what, String name, String part) {
        return samples.computeIfAbsent(what + "/" + name + part, key -> report.sample(key, "ms"));
    }

    private void row(Contender contender) {
        Sample whole = sample(contender, "");
        double c = sample(contender.what(), "C", "").median();
        report.row(
                contender.what(),
                contender.name(),
                Report.number(whole.median(), 1),
                Report.number(whole.quantile(0), 1),
                Report.number(whole.quantile(0.9), 1),
                Report.number(whole.median() - c, 1),
                Report.number(whole.median() / c, 2),
                Report.number(sample(contender, "/to main").median(), 1),
                Report.number(sample(contender, "/open").median(), 1),
                Report.number(sample(contender, "/rest").median(), 1));
    }
}
