package dev.torpor.benchmarks;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * One run of the benchmarks: what its programs find in their environment.
 *
 * @param environment makes every program meet the same driver
 */
record Run(Settings settings, Machine machine, Map<String, String> environment, Path scratch) implements AutoCloseable {
    private static final String LIBRARY = "TORPOR_LIBCUDA";

    /** @throws ChildFailure if there is no driver, with the sentence that says so */
    static Run begin(Settings settings) {
        Path scratch = Kit.temporaryDirectory("torpor-bench-");
        Map<String, String> environment = new HashMap<>();
        if (settings.simulator()) {
            environment.put(LIBRARY, Kit.simulator().toString());
            environment.put("TORPOR_SIM_DIR", scratch.resolve("simulator").toString());
        }
        try {
            Machine machine = describe(environment);
            environment.put(LIBRARY, machine.library());
            environment.put("LD_LIBRARY_PATH", libraries(machine.library()));
            return new Run(settings, machine, environment, scratch);
        } catch (RuntimeException e) {
            Kit.delete(scratch);
            throw e;
        }
    }

    private static Machine describe(Map<String, String> environment) {
        List<String> command = List.of(
                Kit.java(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Machine.class.getName());
        return Results.GSON.fromJson(Child.output(command, environment), Machine.class);
    }

    /** For bytedeco, whose library asks the loader for libcuda.so.1 and libcudart.so.13. */
    private static String libraries(String libcuda) {
        String path = Kit.own().resolve("cudart").toString();
        Path directory = Path.of(libcuda).getParent();
        String given = System.getenv("LD_LIBRARY_PATH");
        return path + (directory == null ? "" : ":" + directory) + (given == null ? "" : ":" + given);
    }

    /** A process to ask about; it keeps the GPU initialised. */
    Child target() {
        Child target = Child.start(List.of(Kit.program("torpor-target").toString(), "--memory", "64M"), environment);
        target.line();
        return target;
    }

    @Override
    public void close() {
        Kit.delete(scratch);
    }
}
