package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.Resume;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where the files of a process that was parked with {@code --arena} are now. */
final class StoredAtOption {
    @Option(
            names = "--stored-at",
            paramLabel = "DIR",
            description = {
                "The directory where the files that --arena made are now, if it was moved: an absolute path as the process sees it.",
                "With several processes, each has its own below it: DIR/PID."
            })
    private @Nullable Path directory;

    /** @throws ParameterException if it is not an absolute path of one line */
    void check(CommandLine line) {
        try {
            Resume unused =
                    directory == null ? Resume.defaults() : Resume.defaults().storedAt(directory);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line, String.valueOf(e.getMessage()), e);
        }
    }

    Resume on(Resume options, GpuProcess process, boolean several) {
        if (directory == null) {
            return options;
        }
        return options.storedAt(several ? directory.resolve(Long.toString(process.pid())) : directory);
    }
}
