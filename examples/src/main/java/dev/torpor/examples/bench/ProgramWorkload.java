package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.examples.Sizes;
import dev.torpor.mps.Mps;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/** A program: the one that fills device memory with a pattern, or the user's. */
public final class ProgramWorkload implements Workload {
    private static final Duration ANSWER_LIMIT = Duration.ofMinutes(2);
    private static final int SOCKET_NAME = 108; // sun_path, with its NUL
    private static final int LONGEST_SOCKET = "/4194304.sock".length();
    private static final Pattern STARTED = Pattern.compile("^(READY pid=|ERROR)");
    private static final Pattern CHECKED = Pattern.compile("^(OK words=|ERROR)");

    private final String description;
    private final List<String> command;
    private final Map<String, String> environment;
    private final Pattern ready;
    private final Duration startLimit;
    private final Predicate<DetachedProgram> check;

    private ProgramWorkload(
            String description,
            List<String> command,
            Map<String, String> environment,
            Pattern ready,
            Duration startLimit,
            Predicate<DetachedProgram> check) {
        this.description = description;
        this.command = command;
        this.environment = new HashMap<>(environment);
        this.environment.putAll(Mps.noClientEnvironment()); // a client could not be checkpointed
        this.ready = ready;
        this.startLimit = startLimit;
        this.check = check;
    }

    /**
     * A {@code torpor-target}.
     *
     * @param program where it is
     * @param bytes of device memory
     * @param environment lets it find the driver
     * @param startLimit how long it may take to be ready
     */
    public static ProgramWorkload target(
            Path program, long bytes, Map<String, String> environment, Duration startLimit) {
        return new ProgramWorkload(
                "torpor-target with " + Sizes.text(bytes),
                List.of(program.toString(), "--memory", Long.toString(bytes)),
                environment,
                STARTED,
                startLimit,
                ProgramWorkload::checkPattern);
    }

    /**
     * A command of the user's.
     *
     * @param ready found in the line of its output by which it is ready
     * @param check what tells whether it is what it was
     */
    public static ProgramWorkload command(
            List<String> command, Map<String, String> environment, Pattern ready, Duration startLimit, Check check) {
        return new ProgramWorkload(
                String.join(" ", command),
                command,
                environment,
                ready,
                startLimit,
                program -> check.isRight(Long.toString(program.pid())));
    }

    private static boolean checkPattern(DetachedProgram program) {
        program.send("check");
        String answer = program.await(CHECKED, ANSWER_LIMIT);
        if (answer.startsWith("ERROR")) {
            throw new TorporException(
                    Problem.TOOL, "The device memory of " + program + " is not what it was: " + answer + ".");
        }
        return true;
    }

    @Override
    public Subject start(Optional<ShimOptions> shim, Path folder, Consumer<Subject> begun) {
        Map<String, String> variables = new HashMap<>(environment);
        shim.ifPresent(options -> {
            putPresent(variables, "LD_PRELOAD");
            Shim.extract().preload(variables, socketIn(folder, options));
        });
        DetachedProgram program = DetachedProgram.start(command, variables, folder);
        Subject subject = new RunningProgram(program, check);
        try {
            begun.accept(subject);
            String line = program.await(ready, startLimit);
            if (ready == STARTED && line.startsWith("ERROR")) {
                throw new TorporException(Problem.TOOL, "torpor-target did not start: " + line + ".");
            }
            return subject;
        } catch (RuntimeException e) {
            subject.close();
            throw e;
        }
    }

    /** The socket of one that is killed goes with the folder, unless its name would be too long for one. */
    private static ShimOptions socketIn(Path folder, ShimOptions options) {
        int length = folder.toString().getBytes(StandardCharsets.UTF_8).length;
        return length + LONGEST_SOCKET < SOCKET_NAME ? options.folder(folder) : options;
    }

    private static void putPresent(Map<String, String> variables, String name) {
        String value = System.getenv(name);
        if (value != null) {
            variables.put(name, value);
        }
    }

    @Override
    public String toString() {
        return description;
    }

    private record RunningProgram(DetachedProgram program, Predicate<DetachedProgram> how) implements Subject {
        @Override
        public String id() {
            return Long.toString(program.pid());
        }

        @Override
        public boolean check() {
            return how.test(program);
        }

        @Override
        public void close() {
            program.close();
        }

        @Override
        public String toString() {
            return program.toString();
        }
    }
}
