package dev.torpor.podman;

import dev.torpor.criu.Criu;
import dev.torpor.tools.Command.Ended;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Why a run of podman failed: in podman's words, in CRIU's where its log is new, and what to do. */
final class PodmanTrouble {
    private static final String ERROR = "Error: ";

    /** Parts of podman's messages, with what to do. */
    private static final List<Map.Entry<String, String>> ADVICE = List.of(
            Map.entry(
                    "does not support checkpoint/restore",
                    "Create the container with a runtime that does, for example runc (podman --runtime runc)."),
            Map.entry(
                    "a complete checkpoint for this container cannot be found", "Checkpoint it before it is restored."),
            Map.entry("requires root", "Run this as root."));

    private final @Nullable Path log;
    private final FileTime before;

    /** Before podman is run. */
    PodmanTrouble(@Nullable Path log) {
        this.log = log;
        before = modified();
    }

    private FileTime modified() {
        try {
            return log == null ? FileTime.fromMillis(0) : Files.getLastModifiedTime(log);
        } catch (IOException e) {
            return FileTime.fromMillis(0);
        }
    }

    /** After it. */
    String told(String what, Ended ended, Duration limit) {
        String sentence = sentence(what, ended, limit);
        if (log == null || !Files.exists(log) || modified().equals(before)) {
            return sentence;
        }
        Optional<String> reason = Criu.explain(log);
        return sentence + reason.map(words -> " CRIU says: " + words).orElse("") + " CRIU's log is " + log + ".";
    }

    static String sentence(String what, Ended ended, Duration limit) {
        String start = "podman could not " + what;
        if (!ended.inTime()) {
            return start + " within " + limit.toMillis() / 1000.0 + " s, and was killed: give it more time.";
        }
        String words = words(ended);
        for (Map.Entry<String, String> advice : ADVICE) {
            if (words.contains(advice.getKey())) {
                return start + ": " + words + ". " + advice.getValue();
            }
        }
        return start + ": " + words + ".";
    }

    /** Its first error, or else its last words; the last line may be about where a log is. */
    private static String words(Ended ended) {
        String words = ended.errors()
                .lines()
                .filter(line -> line.startsWith(ERROR))
                .findFirst()
                .map(line -> line.substring(ERROR.length()).strip().replaceAll("\\p{Cntrl}", "?"))
                .orElse(ended.lastWords());
        return words.isEmpty() ? "it ended with status " + ended.status() : words.replaceAll("\\.$", "");
    }
}
