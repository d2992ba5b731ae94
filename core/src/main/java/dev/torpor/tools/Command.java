package dev.torpor.tools;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A program to run to its end, or to be killed after a time. What it says goes through files: one that leaves a daemon behind would
 * hold a pipe open for as long as that lives.
 */
public final class Command {
    private static final int LONGEST_OUTPUT = 16 << 20;

    private static final Duration KILLING = Duration.ofSeconds(1);
    private static final Duration POLL = Duration.ofMillis(5);
    private static final List<String> SHIELD =
            List.of("setsid", "/bin/sh", "-c", "trap '' INT HUP TERM; exec \"$0\" \"$@\"");
    private static final ProcFs PROC = new ProcFs();

    private final List<String> words;
    private final ProcessBuilder builder;
    private String input = "";

    private Command(List<String> words) {
        this.words = List.copyOf(words);
        builder = new ProcessBuilder(new ArrayList<>(words));
    }

    /** The program and its arguments. */
    public static Command of(List<String> words) {
        return new Command(words);
    }

    /** Where a program is, in the folders of PATH and then in others; empty if nowhere. */
    public static Optional<Path> find(String program, String... otherFolders) {
        List<String> folders =
                new ArrayList<>(List.of(System.getenv().getOrDefault("PATH", "").split(":", -1)));
        folders.addAll(List.of(otherFolders));
        for (String folder : folders) {
            Path file = Path.of(folder.isEmpty() ? "." : folder, program);
            if (Files.isRegularFile(file) && Files.isExecutable(file)) {
                return Optional.of(file.toAbsolutePath());
            }
        }
        return Optional.empty();
    }

    /** Variables in addition to those of this process. */
    public Command environment(Map<String, String> variables) {
        builder.environment().putAll(variables);
        return this;
    }

    /**
     * In a session of its own, and with the signals ignored that end this process: Ctrl-C at the terminal is not meant for a program that
     * has others' processes in its hands.
     */
    public Command shielded() {
        List<String> shielded =
                new ArrayList<>(SHIELD); // setsid does not fork, as no child of a JVM leads a process group
        shielded.addAll(words);
        builder.command(shielded);
        return this;
    }

    /** What it reads. Default: nothing. */
    public Command input(String text) {
        input = text;
        return this;
    }

    /**
     * Runs it. An interrupt of the caller is kept for later.
     *
     * @param limit after this time it is killed, and its descendants with it
     * @throws TorporException {@link Problem#TOOL_MISSING} if it cannot be started, {@link Problem#TOOL} if its output cannot be kept
     */
    public Ended run(Duration limit) {
        try {
            Path said = Files.createTempFile("torpor-", ".out");
            Path errors = Files.createTempFile("torpor-", ".err");
            try {
                Process process = start(said, errors);
                boolean inTime = await(process, limit);
                if (!inTime) {
                    killDescendants(process);
                    process.destroyForcibly();
                    await(process, Duration.ofDays(1));
                }
                return new Ended(inTime, process.exitValue(), read(said), read(errors));
            } finally {
                Files.delete(said);
                Files.delete(errors);
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.TOOL,
                    name() + " cannot be run, because its output cannot be kept in "
                            + System.getProperty("java.io.tmpdir") + ": " + IoReason.of(e)
                            + ". Make room there and allow writing.");
        }
    }

    private Process start(Path said, Path errors) throws IOException {
        Process process;
        try {
            process = builder.redirectOutput(said.toFile())
                    .redirectError(errors.toFile())
                    .start();
        } catch (IOException e) {
            throw new TorporException(
                    Problem.TOOL_MISSING, name() + " cannot be started: " + startReason(e) + ". Install it.");
        }
        try (OutputStream to = process.getOutputStream()) {
            to.write(input.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            return process; // it has ended without reading all of it
        }
        return process;
    }

    /** Java writes {@code Cannot run program "x": error=2, No such file or directory}, and newer ones more. */
    private static String startReason(IOException e) {
        String message = String.valueOf(e.getMessage());
        int comma = message.lastIndexOf(", ");
        return comma < 0 ? IoReason.of(e) : message.substring(comma + 2);
    }

    /** While it lives it can start others, which would be found no more when it is gone. */
    private static void killDescendants(Process process) {
        long deadline = System.nanoTime() + KILLING.toNanos();
        List<ProcessHandle> found;
        do {
            found = process.descendants()
                    .filter(one -> PROC.startTime(one.pid()) >= 0) // no zombie
                    .toList();
            found.forEach(ProcessHandle::destroyForcibly);
        } while (!found.isEmpty() && System.nanoTime() < deadline && !await(process, POLL));
    }

    private static boolean await(Process process, Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static String read(Path file) throws IOException {
        try (InputStream from = Files.newInputStream(file)) {
            return new String(from.readNBytes(LONGEST_OUTPUT), StandardCharsets.UTF_8);
        }
    }

    private String name() {
        return words.get(0);
    }

    /** Like {@code criu dump -t 4711}. */
    @Override
    public String toString() {
        return String.join(" ", words);
    }

    /**
     * How a program ended.
     *
     * @param inTime false if it was killed since it took too long
     * @param status its exit status; 128 and the signal's number if one killed it
     * @param output what it said
     * @param errors what it complained of
     */
    public record Ended(boolean inTime, int status, String output, String errors) {
        /** Whether it ended by itself, and well. */
        public boolean good() {
            return inTime && status == 0;
        }

        /** The last thing it complained of, or else said, on one line, for a sentence; empty if it was silent. */
        public String lastWords() {
            String text = errors.isBlank() ? output : errors;
            List<String> lines = text.strip().lines().toList();
            String last = lines.isEmpty() ? "" : lines.get(lines.size() - 1).strip();
            String printable = last.replaceAll("\\p{Cntrl}", "?");
            return printable.length() > 400 ? printable.substring(0, 400) + "…" : printable;
        }
    }
}
