package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.tools.Command;
import dev.torpor.tools.ProcFs;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A {@code torpor-target} that nothing ties to this process: a session of its own, and named pipes in place of its input and output, so
 * that CRIU can dump it and make it anew, and whoever it is then answers here.
 */
public final class Detached implements AutoCloseable {
    private static final ProcFs PROC = new ProcFs();
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final RandomAccessFile commands;
    private final RandomAccessFile keptOpen;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
    private final long root;
    private final long pid;
    private final long bytes;

    private Detached(RandomAccessFile commands, RandomAccessFile keptOpen, Path output, long root) throws IOException {
        this.commands = commands;
        this.keptOpen = keptOpen;
        this.root = root;
        Thread listener = new Thread(() -> listen(output), "detached " + root);
        listener.setDaemon(true);
        listener.start();
        String ready = hear();
        assertThat(ready).startsWith("READY pid=");
        pid = Long.parseLong(ready.replaceAll("READY pid=(\\d+) .*", "$1"));
        bytes = Long.parseLong(ready.substring(ready.lastIndexOf('=') + 1));
    }

    /** Starts one, as {@link Target#start}. */
    public static Detached start(Path folder, Map<String, String> environment, String... options) {
        return start(folder, "exec \"$@\"", environment, options);
    }

    /** Starts one as a child of a shell that waits for it. */
    public static Detached startAsChild(Path folder, Map<String, String> environment, String... options) {
        return start(
                folder,
                "\"$@\" <&3 & wait $!; :",
                environment,
                options); // a shell gives such a one no input of its own
    }

    /** Starts one with another of its kind as its child, which nobody talks to. */
    public static Detached startWithChild(Path folder, Map<String, String> environment, String... options) {
        return start(folder, "sleep 600 | \"$@\" >/dev/null & exec \"$@\"", environment, options);
    }

    /** Starts one that has a file open whose name is gone while another link of it is left. */
    public static Detached startWithLostName(Path folder, Map<String, String> environment, String... options) {
        String name = "'" + folder.resolve("lost") + "'";
        return start(
                folder,
                "exec 4<>" + name + "; echo lost >&4; ln " + name + " " + name + ".2; rm " + name + "; exec \"$@\"",
                environment,
                options);
    }

    /** Starts one with a child that becomes another of its kind when there is a file {@code go}, and tells into {@code go.ready}. */
    public static Detached startWithLateChild(
            Path folder, Map<String, String> environment, Path go, String... options) {
        String late = "(while [ ! -e '" + go + "' ]; do sleep 0.02; done; sleep 600 | \"$@\" > '" + go + ".ready') & ";
        return start(folder, late + "exec \"$@\"", environment, options);
    }

    /** Starts one as a child of somebody who never waits for it. */
    public static Detached startUnawaited(Path folder, Map<String, String> environment, String... options) {
        return start(folder, "setsid \"$@\" <&3 & exec sleep 600", environment, options);
    }

    private static Detached start(Path folder, String how, Map<String, String> environment, String... options) {
        Path input = folder.resolve("in");
        Path output = folder.resolve("out");
        assertThat(Command.of(List.of("mkfifo", input.toString(), output.toString()))
                        .run(PATIENCE)
                        .good())
                .isTrue();
        String script = "exec <>'" + input + "' 1<>'" + output + "' 3<&0 2>/dev/null; " + how;
        List<String> words = new ArrayList<>(List.of("setsid", "sh", "-c", script, "sh"));
        words.add(Machine.built("programs/torpor-target").toString());
        words.addAll(List.of(options));
        ProcessBuilder builder = new ProcessBuilder(words)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(Machine.environment());
        builder.environment().putAll(environment);
        try {
            RandomAccessFile commands = new RandomAccessFile(input.toFile(), "rw");
            RandomAccessFile keptOpen =
                    new RandomAccessFile(output.toFile(), "rw"); // no end of file while nobody writes
            return new Detached(commands, keptOpen, output, builder.start().pid());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void listen(Path output) {
        try (BufferedReader reader = new BufferedReader(
                new InputStreamReader(new FileInputStream(output.toFile()), StandardCharsets.UTF_8))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                answers.add(line);
            }
        } catch (IOException e) {
            answers.add("ERROR " + e);
        }
    }

    private String hear() {
        try {
            String line = answers.poll(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            return line == null ? "(silence)" : line;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    /** Of the root of its tree: its own, or its shell's. */
    public long root() {
        return root;
    }

    /** Of the process that uses CUDA. */
    public long pid() {
        return pid;
    }

    /** The size of the memory whose content is known. */
    public long bytes() {
        return bytes;
    }

    /** A zombie is not. */
    public boolean isAlive() {
        return PROC.startTime(pid) >= 0;
    }

    /** Sends a command and waits for its answer. */
    public String ask(String command) {
        try {
            commands.write((command + "\n").getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return hear();
    }

    /** Every word of its device memory is what it should be. */
    public void assertMemoryIntact() {
        assertThat(ask("check")).isEqualTo("OK words=" + bytes / 8);
    }

    /** Ends it by its own will, and waits until its pid is free. */
    public void quit() {
        ask("quit");
        awaitEnd();
    }

    /** Until its pid, and that of its root, is free. */
    public void awaitEnd() {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while ((isThere(pid) || isThere(root)) && System.nanoTime() < deadline) {
            Thread.onSpinWait();
        }
        assertThat(isThere(pid)).isFalse();
    }

    private static boolean isThere(long pid) {
        return Path.of("/proc", Long.toString(pid)).toFile().exists();
    }

    @Override
    public void close() {
        try {
            if (isAlive()) {
                ask("quit");
            }
            commands.close();
            keptOpen.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
