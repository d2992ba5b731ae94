package dev.torpor.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A torpor-target, to be suspended; its memory holds a pattern that it can check. */
record Target(Child process) implements AutoCloseable {
    /** @param options of torpor-target, beside its memory */
    static Target start(long bytes, Map<String, String> environment, String... options) {
        List<String> command =
                new ArrayList<>(List.of(Kit.program("torpor-target").toString(), "--memory", Long.toString(bytes)));
        command.addAll(List.of(options));
        Child process = Child.start(command, environment);
        String ready = process.answer();
        if (!ready.startsWith("READY")) {
            throw new IllegalStateException("torpor-target did not start: " + ready);
        }
        return new Target(process);
    }

    long pid() {
        return process.pid();
    }

    /** @throws IllegalStateException if its memory is not what it was */
    String check(String variant) {
        String check = process.ask("check");
        if (!check.startsWith("OK")) {
            throw new IllegalStateException(variant + ": the target's memory after a resume: " + check);
        }
        return check;
    }

    /** Ends it; what its shim then tells becomes lines of remarks. */
    void finish(String variant) {
        process.close();
        process.said().lines().forEach(line -> System.out.println("# " + variant + ": " + line));
    }

    @Override
    public void close() {
        process.close();
    }
}
