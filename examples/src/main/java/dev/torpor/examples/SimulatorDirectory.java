package dev.torpor.examples;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The simulated machine lives in a directory that an environment variable names, and a JVM cannot set its own. */
final class SimulatorDirectory {
    static final String VARIABLE = "TORPOR_SIM_DIR";

    private SimulatorDirectory() {}

    /** Runs this program again with a fresh directory, which is deleted when this JVM ends, for whatever reason. */
    static int again(Class<?> program, List<String> arguments) throws IOException, InterruptedException {
        Path shared = Path.of("/dev/shm");
        Path directory = Files.isWritable(shared)
                ? Files.createTempDirectory(shared, "torpor-demo-")
                : Files.createTempDirectory("torpor-demo-");
        ProcessBuilder builder = new ProcessBuilder(Jvm.command(program, arguments)).inheritIO();
        builder.environment().put(VARIABLE, directory.toString());
        Process child = builder.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> end(child, directory)));
        return child.waitFor();
    }

    private static void end(Process child, Path directory) {
        child.destroy();
        child.onExit().join();
        delete(directory);
    }

    private static void delete(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
            Files.delete(directory);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
