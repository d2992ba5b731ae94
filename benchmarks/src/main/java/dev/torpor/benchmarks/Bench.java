package dev.torpor.benchmarks;

import java.io.IOException;

/** Runs the benchmarks, prints a table for each, and writes them as JSON and Markdown. */
public final class Bench {
    private static final String USAGE =
            "usage: bench [init|state|start|copy|checkpoint|park|all]... [--quick] [--simulator] [--rounds N] [--memory SIZE] [--out DIR]";

    private Bench() {}

    /** Exits with 0; 3 without a driver; 64 if the command line cannot be understood. */
    public static void main(String... args) throws IOException {
        System.exit(run(args));
    }

    static int run(String... args) throws IOException {
        Settings settings;
        try {
            settings = Settings.parse(args);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage() + "\n" + USAGE);
            return 64;
        }
        try (Run run = Run.begin(settings)) {
            Results results = new Results(settings.out(), run.machine());
            for (String part : settings.parts()) {
                results.add(report(part, run));
            }
            return 0;
        } catch (ChildFailure e) {
            if (e.status() != 3) {
                throw e;
            }
            System.err.println("No GPU here. " + e.said() + " Add --simulator to try the benchmarks without one.");
            return 3;
        }
    }

    private static Report report(String part, Run run) throws IOException {
        return switch (part) {
            case "init" -> new InitReport(run).report();
            case "state" -> new StateReport(run).report();
            case "copy" -> new CopyReport(run).report();
            case "checkpoint" -> new CheckpointReport(run).report();
            case "park" -> new ParkReport(run).report();
            default -> new StartReport(run).report();
        };
    }
}
