package dev.torpor.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A program that is started and speaks on its output; closing it ends its input, and waits for its end. */
final class Child implements AutoCloseable {
    private final List<String> command;
    private final Path errors;
    private final Process process;
    private final BufferedReader output;
    private @Nullable String said;

    private Child(List<String> command, Path errors, Process process) {
        this.command = command;
        this.errors = errors;
        this.process = process;
        output = process.inputReader();
    }

    static Child start(List<String> command, Map<String, String> environment) {
        try {
            Path errors = Files.createTempFile("torpor-bench-", ".err");
            ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
            builder.environment().putAll(environment);
            return new Child(command, errors, builder.start());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Runs it to its end. */
    static String output(List<String> command, Map<String, String> environment) {
        try (Child child = start(command, environment)) {
            child.endInput();
            StringBuilder text = new StringBuilder();
            for (String line = child.line(); line != null; line = child.line()) {
                text.append(line).append('\n');
            }
            return text.toString();
        }
    }

    private void endInput() {
        try {
            process.getOutputStream().close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The next byte of its output. */
    int read() {
        try {
            return output.read();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Its answer to a command, a line each. */
    String ask(String command) {
        try {
            process.outputWriter().append(command).append('\n').flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return answer();
    }

    /** The next line of its output, which must come. */
    String answer() {
        String line = line();
        if (line == null) {
            close();
            throw new IllegalStateException("no answer of: " + String.join(" ", command));
        }
        return line;
    }

    /** Null at the end. */
    @Nullable
    String line() {
        try {
            return output.readLine();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    long pid() {
        return process.pid();
    }

    /** What it said on its standard error, once it has been closed. */
    String said() {
        return said == null ? "" : said;
    }

    /** @throws ChildFailure if it did not end well */
    @Override
    public void close() {
        if (said != null) {
            return;
        }
        try {
            endInput();
            int status = process.waitFor();
            String text = Files.readString(errors).strip();
            said = text;
            Files.delete(errors);
            if (status != 0) {
                throw new ChildFailure(status, text, String.join(" ", command));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
