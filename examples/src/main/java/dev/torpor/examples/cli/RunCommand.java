package dev.torpor.examples.cli;

import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * The shell script that starts this JVM takes what it prints, and becomes the command: so pid, signals, standard streams and exit
 * status are the command's own, and no JVM stays beside it.
 */
@Command(
        name = "run",
        description = {
            "Runs a command with the shim preloaded: the command can be parked, its large copies use several streams, and its"
                    + " checkpoints are faster.",
            "Exits as the command does; with 126 if it cannot be executed, with 127 if it is not found."
        })
final class RunCommand implements Callable<Integer> {
    /** System property that the launcher sets when it is about to do what this command prints. */
    static final String LAUNCHER = "torpor.launcher.run";

    private static final int NOT_EXECUTABLE = 126; // as shells have it
    private static final int NOT_FOUND = 127;
    private static final char UNREADABLE = '\ufffd';

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Mixin
    private final ShimSettings settings = new ShimSettings();

    @Mixin
    private final ShimFile file = new ShimFile();

    @Parameters(paramLabel = "COMMAND", arity = "1..*", description = "The command and its arguments, best after --.")
    private List<String> command = List.of();

    @Override
    public Integer call() {
        if (!Boolean.getBoolean(LAUNCHER)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Only the launcher can run a command, not its jar alone: torpor run [OPTIONS] -- COMMAND...");
        }
        Shim shim = file.shim();
        Map<String, String> environment;
        try {
            ShimOptions options = settings.options();
            environment = present("LD_PRELOAD");
            options.leanEnvironment().keySet().forEach(name -> environment.putAll(present(name)));
            shim.preload(environment, options);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()));
        }
        checkCommand(command.get(0));
        print(environment);
        return ExitCode.OK.code();
    }

    private static Map<String, String> present(String variable) {
        Map<String, String> present = new HashMap<>();
        String value = System.getenv(variable);
        if (value != null) {
            present.put(variable, value);
        }
        return present;
    }

    private void print(Map<String, String> environment) {
        StringBuilder script = new StringBuilder("export");
        environment.forEach(
                (name, value) -> script.append(' ').append(name).append('=').append(ShellWord.quoted(value)));
        int words =
                spec.commandLine().getParent().getParseResult().originalArgs().size();
        script.append("; shift ").append(words - command.size());
        spec.commandLine().getOut().println(script);
    }

    /** Nobody is left to say it well once the shell has become the command. */
    private static void checkCommand(String name) {
        if (name.indexOf(UNREADABLE) >= 0) {
            return; // bytes that are no text in this locale: the shell, which has them, says what is wrong
        }
        if (name.indexOf('/') >= 0) {
            check(Path.of(name), "There is no file " + name);
            return;
        }
        String path = System.getenv("PATH");
        for (String folder : path == null ? new String[0] : path.split(File.pathSeparator, -1)) {
            if (isProgram(Path.of(folder, name))) {
                return;
            }
        }
        throw new NotStarted(
                NOT_FOUND, "There is no program '" + name + "' in PATH: check its name, or give its path.");
    }

    private static void check(Path file, String missing) {
        if (!Files.exists(file)) {
            throw new NotStarted(NOT_FOUND, missing + ": check its path.");
        }
        if (!isProgram(file)) {
            throw new NotStarted(NOT_EXECUTABLE, file + " cannot be executed: it is no program, or may not be run.");
        }
    }

    private static boolean isProgram(Path file) {
        return Files.isRegularFile(file) && Files.isExecutable(file);
    }

    /** The command cannot be started; the message says why and what to do. */
    static final class NotStarted extends RuntimeException {
        private static final long serialVersionUID = 1;

        private final int code;

        NotStarted(int code, String message) {
            super(message);
            this.code = code;
        }

        int code() {
            return code;
        }
    }
}
