package dev.torpor.examples;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A {@code torpor-target}: a process whose device memory holds a pattern, and which can tell whether it still does. */
final class DemoTarget implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 10;

    private final Process process;
    private final BufferedReader answers;
    private final Writer commands;

    private DemoTarget(Process process) throws IOException {
        this.process = process;
        answers = process.inputReader(StandardCharsets.UTF_8);
        commands = process.outputWriter(StandardCharsets.UTF_8);
        String ready = answers.readLine();
        if (ready == null || !ready.startsWith("READY")) {
            throw new IllegalStateException(
                    "torpor-target did not start: " + (ready == null ? "it ended without a word" : ready));
        }
    }

    /** Starts one and waits until its memory is filled. */
    static DemoTarget start(Path programs, Map<String, String> environment, long bytes) throws IOException {
        Path program = programs.resolve("torpor-target");
        if (!Files.isExecutable(program)) {
            throw new IllegalStateException(
                    "There is no program " + program + ": build the module native, or name its output with --native");
        }
        ProcessBuilder builder = new ProcessBuilder(program.toString(), "--memory", Long.toString(bytes));
        builder.environment().putAll(environment);
        builder.redirectError(ProcessBuilder.Redirect.INHERIT);
        Process process = builder.start();
        try {
            return new DemoTarget(process);
        } catch (IOException | RuntimeException e) {
            process.destroyForcibly();
            throw e;
        }
    }

    long pid() {
        return process.pid();
    }

    /** Has the GPU compare every word: {@code OK words=N}, or what is wrong. */
    String check() {
        try {
            commands.write("check\n");
            commands.flush();
            String answer = answers.readLine();
            return answer == null ? "the target has ended" : answer;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes it quit; one that does not, since it is still suspended, is killed. */
    @Override
    public void close() {
        try {
            commands.write("quit\n");
            commands.close();
            process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (IOException e) {
            process.destroy();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
    }
}
