package dev.torpor.benchmarks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** An MPS daemon with directories of its own, so that it serves only who is told of them. */
final class MpsDaemon implements AutoCloseable {
    private static final String PROGRAM = "nvidia-cuda-mps-control";

    private final Path directory;
    private final Path program;
    private final Map<String, String> environment;

    private MpsDaemon(Path directory, Path program, Map<String, String> environment) {
        this.directory = directory;
        this.program = program;
        this.environment = environment;
    }

    private static @Nullable Path find() {
        String path = System.getenv().getOrDefault("PATH", "") + ":/usr/local/nvidia/bin";
        return Stream.of(path.split(":", -1))
                .map(folder -> Path.of(folder, PROGRAM))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    /** The reason why there can be no MPS here. */
    static Optional<String> missing(Machine machine) {
        if (machine.simulated()) {
            return Optional.of("the simulator has no MPS daemon");
        }
        return find() == null
                ? Optional.of("there is no " + PROGRAM + " in PATH or /usr/local/nvidia/bin")
                : Optional.empty();
    }

    static MpsDaemon start(Map<String, String> base) throws IOException {
        Path program = find();
        if (program == null) {
            throw new IllegalStateException("no " + PROGRAM);
        }
        Path directory = Files.createTempDirectory("torpor-mps-");
        Map<String, String> environment = new HashMap<>(base);
        environment.put("CUDA_MPS_PIPE_DIRECTORY", folder(directory, "pipe"));
        environment.put("CUDA_MPS_LOG_DIRECTORY", folder(directory, "log"));
        Process process = control(program, environment, "-d").start();
        if (ended(process) != 0) {
            throw new IllegalStateException(PROGRAM + " -d failed: " + logs(directory));
        }
        return new MpsDaemon(directory, program, environment);
    }

    private static String folder(Path directory, String name) throws IOException {
        return Files.createDirectory(directory.resolve(name)).toString();
    }

    /** Its output is left alone: the daemon would keep a pipe open for as long as it lives. */
    private static ProcessBuilder control(Path program, Map<String, String> environment, String... options) {
        ProcessBuilder builder = new ProcessBuilder(program.toString());
        builder.command().addAll(List.of(options));
        builder.environment().putAll(environment);
        return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD);
    }

    private static int ended(Process process) {
        try {
            return process.waitFor(30, TimeUnit.SECONDS) ? process.exitValue() : -1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return -1;
        }
    }

    private static String logs(Path directory) throws IOException {
        Path log = directory.resolve("log/control.log");
        return Files.exists(log) ? Files.readString(log) : "it wrote no log";
    }

    /** Makes a program its client. */
    Map<String, String> environment() {
        return environment;
    }

    /** Asks it to quit, and waits until it is gone, so that what comes next is alone again. */
    @Override
    public void close() throws IOException {
        Optional<ProcessHandle> daemon = daemon();
        Process quit = control(program, environment).start();
        quit.getOutputStream().write("quit\n".getBytes(StandardCharsets.US_ASCII));
        quit.getOutputStream().close();
        ended(quit);
        daemon.ifPresent(MpsDaemon::awaitEnd);
        Kit.delete(directory);
    }

    private Optional<ProcessHandle> daemon() throws IOException {
        Path file = directory.resolve("pipe").resolve(PROGRAM + ".pid");
        return Files.exists(file)
                ? ProcessHandle.of(Long.parseLong(Files.readString(file).strip()))
                : Optional.empty();
    }

    private static void awaitEnd(ProcessHandle daemon) {
        try {
            daemon.onExit().get(30, TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException e) {
            daemon.destroy();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
