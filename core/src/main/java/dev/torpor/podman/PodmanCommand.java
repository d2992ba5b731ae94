package dev.torpor.podman;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.tools.Command;
import dev.torpor.tools.Command.Ended;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.TemporaryFolder;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How podman is run.
 *
 * @param program an absolute path
 * @param runtime null for podman's own choice
 * @param criu null for the one that is found
 */
record PodmanCommand(
        Path program, @Nullable String runtime, @Nullable Criu criu) {
    private static final Duration QUESTION_LIMIT = Duration.ofMinutes(1);

    private List<String> words(String... arguments) {
        List<String> words = new ArrayList<>(List.of(program.toString()));
        if (runtime != null) {
            words.addAll(List.of("--runtime", runtime));
        }
        words.addAll(List.of(arguments));
        return words;
    }

    /**
     * What podman answers.
     *
     * @param what it is to do, for the error
     */
    String ask(String what, String... arguments) {
        Ended ended = Command.of(words(arguments)).run(QUESTION_LIMIT);
        if (!ended.good()) {
            throw new TorporException(Problem.TOOL, PodmanTrouble.sentence(what, ended, QUESTION_LIMIT));
        }
        return ended.output();
    }

    /** The one that was named, or else the one that is found. */
    Criu chosenCriu() {
        return criu == null ? Criu.find() : criu;
    }

    /**
     * Runs {@code podman container ACTION}. Ctrl-C at the terminal does not reach a checkpoint, whose CRIU has the container's processes in
     * its hands.
     *
     * @param chosen which CRIU the runtime shall find
     * @param what it is to do, for the error
     * @param log where the runtime has CRIU write its log, if that is known
     * @param last the arguments behind the options
     */
    PodmanStatistics act(
            String action, Criu chosen, String what, @Nullable Path log, PodmanOptions<?> options, String... last) {
        List<String> words = words("container", action, "--print-stats");
        words.addAll(options.told.words());
        words.addAll(List.of(last));
        PodmanTrouble trouble = new PodmanTrouble(log);
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            Command command = Command.of(words).environment(path(chosen, folder.path()));
            if (action.equals("checkpoint")) {
                command.shielded();
            }
            Ended ended = command.run(options.limit());
            if (!ended.good()) {
                throw new TorporException(Problem.TOOL, trouble.told(what, ended, options.limit()));
            }
            return PodmanStatistics.parse(action, ended.output());
        }
    }

    /** Podman and conmon hand on nothing of the environment but PATH, so what CRIU is to know is in a program of its name there. */
    private static Map<String, String> path(Criu criu, Path folder) {
        try {
            StringBuilder script = new StringBuilder("#!/bin/sh\n");
            Path plugins = Files.createDirectory(folder.resolve("no-plugins"));
            criu.environment(plugins)
                    .forEach((name, value) -> script.append("export ")
                            .append(name)
                            .append('=')
                            .append(quoted(value))
                            .append('\n'));
            script.append("exec ").append(quoted(criu.program().toString())).append(" \"$@\"\n");
            Path programs = Files.createDirectory(folder.resolve("bin"));
            Path program = Files.writeString(programs.resolve("criu"), script);
            Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
            return Map.of(
                    "PATH", programs + File.pathSeparator + System.getenv().getOrDefault("PATH", ""));
        } catch (IOException e) {
            throw new TorporException(
                    Problem.TOOL,
                    "The temporary directory " + folder + " cannot be written: " + IoReason.of(e)
                            + ". Make room there and allow writing.");
        }
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }
}
