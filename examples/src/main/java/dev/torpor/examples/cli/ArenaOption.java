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
            paramLabel = "DIR",
            description =
                    "Park into files in this existing directory instead of anonymous memory. An absolute path as the process sees it, on tmpfs or a disk. The resume removes the files.")
    private @Nullable Path folder;

    Suspend on(Suspend options, CommandLine line) {
        try {
            return folder == null ? options : options.arena(folder);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line, String.valueOf(e.getMessage()));
        }
    }
}
