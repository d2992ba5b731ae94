package dev.torpor.examples.cli;

import dev.torpor.Suspend;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where the shim puts what it parks. */
final class ArenaOption {
    @Option(
            names = "--arena",
            paramLabel = "FILE",
            description =
                    "Park into this new file in place of anonymous memory: an absolute path as the process sees it, on tmpfs or a disk.")
    private @Nullable Path file;

    Suspend on(Suspend options, CommandLine line) {
        try {
            return file == null ? options : options.arena(file);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line, String.valueOf(e.getMessage()));
        }
    }
}
