package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import dev.torpor.tools.ProcFs;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A program that nothing ties to this process: a session of its own, and named pipes in place of its streams. So CRIU can dump it and
 * make it anew, and whoever it is then, it answers here.
 */
final class DetachedProgram implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final int LINES_KEPT = 1000;
    private static final ProcFs PROC = new ProcFs();
    private static final long POLL_MILLIS = 20;
    private static final long KILL_MILLIS = 2;
    private static final int LAST_POLLS = 25; // after its end, for what it has said before

    /** Both ends of both pipes are opened at once, as one of them alone would have to wait for the other. */
    private static final String SCRIPT = "exec <>\"$0/in\" 1<>\"$0/out\" 2>&1; exec \"$@\"";

    private final String name;
    private final RandomAccessFile input;
    private final RandomAccessFile output;
    private final ProcessHandle started;
    private final long pid;
    private final BlockingQueue<String> lines = new ArrayBlockingQueue<>(LINES_KEPT);
    private volatile String last = "";
    private volatile boolean closed;

    private DetachedProgram(String name, RandomAccessFile input, RandomAccessFile output, ProcessHandle started) {
        this.name = name;
        this.input = input;
        this.output = output;
        this.started = started;
        pid = started.pid();
    }

    /**
     * Starts one.
     *
     * @param environment in addition to that of this process
     * @param folder for the pipes
     */
    static DetachedProgram start(List<String> command, Map<String, String> environment, Path folder) {
        Path out = folder.resolve("out");
        Path in = folder.resolve("in");
        Command.Ended made =
                Command.of(List.of("mkfifo", in.toString(), out.toString())).run(LIMIT);
        if (!made.good()) {
            throw new TorporException(Problem.TOOL, "mkfifo made no pipes in " + folder + ": " + made.lastWords());
        }
        List<String> words = new ArrayList<>(List.of("setsid", "sh", "-c", SCRIPT, folder.toString()));
        words.addAll(command);
        ProcessBuilder builder = new ProcessBuilder(words)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(environment);
        try {
            RandomAccessFile input = new RandomAccessFile(in.toFile(), "rw");
            RandomAccessFile output = new RandomAccessFile(out.toFile(), "rw"); // no end of file while nobody writes
            FileInputStream said = new FileInputStream(out.toFile());
            DetachedProgram program = new DetachedProgram(
                    command.get(0), input, output, builder.start().toHandle());
            program.listen(said);
            return program;
        } catch (IOException e) {
            throw new UncheckedIOException(command.get(0) + " cannot be started", e);
        }
    }

    private void listen(InputStream said) {
        Thread listener = new Thread(() -> read(said), "bench-output-" + pid);
        listener.setDaemon(true);
        listener.start();
    }

    /** Whatever it says must be read, or it would wait; of what nobody waits for, the oldest goes. */
    private void read(InputStream said) {
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(said, StandardCharsets.UTF_8))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (!closed) { // then a shell tells that it was killed
                    last = line;
                }
                while (!lines.offer(line)) {
                    lines.poll();
                }
            }
        } catch (IOException e) {
            last = e.toString();
        }
    }

    /** It keeps it when CRIU makes it anew. */
    long pid() {
        return pid;
    }

    void send(String line) {
        try {
            input.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException("nothing can be sent to " + this, e);
        }
    }

    /**
     * Waits for a line in which the pattern is found, from where the last wait ended.
     *
     * @throws TorporException {@link Problem#TOOL} if it ends or is closed before, or does not say it in time
     */
    String await(Pattern pattern, Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        int polls = LAST_POLLS;
        while (true) {
            String line = poll();
            if (line != null && pattern.matcher(line).find()) {
                return line;
            }
            if (closed) {
                throw silent("was ended before it said", pattern);
            }
            if (line == null && !isAlive() && --polls == 0) {
                throw silent("has ended and has not said", pattern);
            }
            if (System.nanoTime() > deadline) {
                throw silent("did not say within " + limit.toSeconds() + " s", pattern);
            }
        }
    }

    private @Nullable String poll() {
        try {
            return lines.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TorporException(Problem.TOOL, "The wait for " + this + " was interrupted.");
        }
    }

    private TorporException silent(String how, Pattern pattern) {
        return new TorporException(
                Problem.TOOL,
                this + " " + how + " what '" + pattern + "' matches; the last it said was: "
                        + (last.isEmpty() ? "nothing (one that writes into a pipe may have to flush it)" : last));
    }

    /** A zombie has ended, though whoever has to take note of it may not have done so. */
    private boolean isAlive() {
        return PROC.startTime(pid) >= 0;
    }

    /** Kills all of its session and all descendants; whoever sleeps deeply could not end by itself. */
    @Override
    public void close() {
        closed = true;
        long deadline = System.nanoTime() + LIMIT.toNanos();
        Set<ProcessHandle> found = new HashSet<>();
        while (kill(found) && System.nanoTime() < deadline) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(KILL_MILLIS));
        }
        try {
            input.close();
            output.close();
        } catch (IOException e) {
            throw new UncheckedIOException("the pipes of " + this + " cannot be closed", e);
        }
    }

    /**
     * Whoever is forked meanwhile is found the next time. While anybody is in the session, nobody else can get its number; one that is
     * about to make it is known by its start.
     *
     * @param found whom this has found before, as descendants with sessions of their own are nobody's when their parent has gone
     * @return whether there is anybody
     */
    private boolean kill(Set<ProcessHandle> found) {
        Stream.concat(
                        PROC.processes().stream().filter(this::isInSession).map(ProcessHandle::of),
                        Stream.of(ProcessHandle.of(pid).filter(started::equals)))
                .flatMap(Optional::stream)
                .forEach(member -> {
                    found.add(member);
                    member.descendants().forEach(found::add);
                });
        found.removeIf(process -> !process.isAlive() || PROC.startTime(process.pid()) < 0);
        found.forEach(ProcessHandle::destroyForcibly);
        return !found.isEmpty();
    }

    /** Zombies do not count. */
    private boolean isInSession(long process) {
        String text = ProcFs.readFile(PROC.file(process, "stat"));
        if (text == null) {
            return false;
        }
        String[] fields = text.substring(text.lastIndexOf(')') + 2).split(" ", 5); // from the third on, see proc(5)
        return fields[3].equals(Long.toString(pid)) && !fields[0].equals("Z") && !fields[0].equals("X");
    }

    /** Like {@code torpor-target (process 4711)}. */
    @Override
    public String toString() {
        return name + " (process " + pid + ")";
    }
}
