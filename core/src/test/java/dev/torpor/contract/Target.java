package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A process with device memory of known content, {@code torpor-target}, made to be suspended. It answers each command with
 * one line that begins with OK or ERROR:
 * <ul>
 *   <li>{@code ping}, {@code info}: lives; what cuMemGetInfo says. Both answer while it is locked, too.
 *   <li>{@code check}, {@code fill SEED}: compares its memory with what it should hold, by kernels; fills it anew.
 *   <li>{@code spin MILLISECONDS}, {@code sync}: keeps the GPU busy; waits until it is idle.
 *   <li>{@code alloc SIZE}, {@code free}: more memory; gives all of that back.
 * </ul>
 * Closing it makes it quit, and a locked one as well.
 */
public final class Target implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final Process process;
    private final Path errors;
    private final Writer commands;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
    private final List<String> conversation = new ArrayList<>();
    private final long bytes;

    private Target(Process process, Path errors) {
        this.process = process;
        this.errors = errors;
        commands = process.outputWriter(StandardCharsets.UTF_8);
        Thread listener = new Thread(this::listen, "target " + process.pid());
        listener.setDaemon(true);
        listener.start();
        String ready = hear(PATIENCE);
        if (ready == null || !ready.startsWith("READY pid=" + process.pid() + " bytes=")) {
            process.destroyForcibly();
            throw new AssertionError("the target did not start" + log());
        }
        bytes = Long.parseLong(ready.substring(ready.lastIndexOf('=') + 1));
    }

    /** Starts one, for example with {@code "--memory", "64M"}; see {@code torpor-target} for its options. */
    public static Target start(String... options) {
        return start(Map.of(), options);
    }

    /** Starts one with these variables in its environment beside those of {@link Machine#environment}. */
    public static Target start(Map<String, String> environment, String... options) {
        List<String> command =
                new ArrayList<>(List.of(Machine.built("programs/torpor-target").toString()));
        command.addAll(List.of(options));
        try {
            Path errors = Files.createTempFile("torpor-target-", ".log");
            ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
            builder.environment().putAll(Machine.environment());
            builder.environment().putAll(environment);
            return new Target(builder.start(), errors);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void listen() {
        try (BufferedReader reader = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                answers.add(line);
            }
        } catch (IOException e) {
            answers.add("ERROR " + e);
        }
    }

    public int pid() {
        return Math.toIntExact(process.pid());
    }

    /** The size of the memory whose content is known. */
    public long bytes() {
        return bytes;
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** Sends a command; its answer comes when the target is not locked. */
    public void send(String command) {
        conversation.add("> " + command);
        try {
            commands.write(command + "\n");
            commands.flush();
        } catch (IOException e) {
            throw new AssertionError("the target does not listen" + log(), e);
        }
    }

    /** The next answer, or null if none comes in this time. */
    public @Nullable String hear(Duration patience) {
        try {
            String line = answers.poll(patience.toMillis(), TimeUnit.MILLISECONDS);
            conversation.add(line == null ? "(silence)" : line);
            return line;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted" + log(), e);
        }
    }

    /** Sends a command and waits for its answer. */
    public String ask(String command) {
        send(command);
        String answer = hear(PATIENCE);
        if (answer == null) {
            throw new AssertionError("no answer to " + command + log());
        }
        return answer;
    }

    /** Sends a command that must succeed. */
    public void tell(String command) {
        assertThat(ask(command)).as(() -> command + log()).startsWith("OK");
    }

    /** Every word of its device memory is what it should be. */
    public void assertMemoryIntact() {
        assertThat(ask("check")).as(() -> "check" + log()).isEqualTo("OK words=" + bytes / 8);
    }

    /** Kills it, and waits until it is gone. */
    public void kill() {
        process.destroyForcibly();
        assertThat(endsWithin(PATIENCE)).as(() -> "ended" + log()).isTrue();
    }

    private boolean endsWithin(Duration patience) {
        try {
            return process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Never kills a process on a real GPU: that might take the driver's state with it. */
    @Override
    public void close() {
        try {
            commands.write("quit\n");
            commands.close();
        } catch (IOException e) {
            conversation.add("(no longer listens)");
        }
        if (Machine.simulated() && !endsWithin(Duration.ofSeconds(2))) {
            process.destroyForcibly();
        }
        assertThat(endsWithin(PATIENCE)).as(() -> "ended" + log()).isTrue();
        errors.toFile().delete();
    }

    private String log() {
        try {
            return "\n  target " + process.pid() + (process.isAlive() ? ", alive" : ", exit " + process.exitValue())
                    + "\n  " + String.join("\n  ", conversation) + "\n" + Files.readString(errors);
        } catch (IOException e) {
            return "\n  " + e;
        }
    }
}
