package dev.torpor.mps;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import dev.torpor.tools.Command.Ended;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The program of the control daemon, which is also its front end: that takes commands on its standard input. */
final class ControlProgram {
    static final String NAME = "nvidia-cuda-mps-control";

    private static final String OTHER_FOLDER = "/usr/local/nvidia/bin";
    static final Duration LIMIT = Duration.ofSeconds(30);
    private static final Pattern PID = Pattern.compile("\\d{1,10}");

    private final @Nullable Path named;
    private final Map<String, String> environment;

    /** @param named null: wherever it is found */
    ControlProgram(@Nullable Path named, Map<String, String> environment) {
        this.named = named;
        this.environment = environment;
    }

    /** @throws TorporException {@link Problem#TOOL_MISSING} */
    Path file() {
        if (named == null) {
            return Command.find(NAME, OTHER_FOLDER)
                    .orElseThrow(() -> missing("There is no " + NAME + " in PATH or " + OTHER_FOLDER));
        }
        if (!Files.isRegularFile(named) || !Files.isExecutable(named)) {
            throw missing(named + " is not a program");
        }
        return named;
    }

    private static TorporException missing(String what) {
        return new TorporException(
                Problem.TOOL_MISSING,
                what
                        + ": it comes with the NVIDIA driver (package nvidia-compute-utils); install it, or name the program.");
    }

    /** Becomes the daemon, and leaves it behind. */
    Ended daemonize() {
        return command("-d").run(LIMIT);
    }

    /** Gives the daemon one command. */
    Ended tell(String line, Duration limit) {
        return command().input(line + "\n").run(limit);
    }

    private Command command(String... options) {
        List<String> words = new ArrayList<>(List.of(file().toString()));
        words.addAll(List.of(options));
        return Command.of(words).environment(environment);
    }

    /** @throws TorporException {@link Problem#TOOL} if it fails, or answers anything else */
    List<Long> pids(String line, Duration limit) {
        Ended ended = tell(line, limit);
        if (!ended.good()) {
            throw new TorporException(Problem.TOOL, NAME + " failed at '" + line + "' " + how(ended) + ".");
        }
        return parse(line, ended.output());
    }

    /** How it ended, and its words. */
    static String how(Ended ended) {
        String words = ended.lastWords();
        return (ended.inTime() ? "with status " + ended.status() : "since it did not answer in time")
                + (words.isEmpty() ? "" : " (" + words + ")");
    }

    static List<Long> parse(String line, String answer) {
        List<Long> pids = new ArrayList<>();
        for (String word : answer.strip().split("\\s+")) {
            if (PID.matcher(word).matches()) {
                pids.add(Long.parseLong(word));
            } else if (!word.isEmpty()) {
                throw new TorporException(
                        Problem.TOOL,
                        NAME + " answered '" + line + "' with no process ids ("
                                + new Ended(true, 0, answer, "").lastWords() + ").");
            }
        }
        return pids;
    }
}
