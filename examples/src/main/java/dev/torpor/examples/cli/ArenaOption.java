package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.tools.OwnedFolder;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where the shim puts what it parks. */
final class ArenaOption {
    private static final ProcFs PROC = new ProcFs();

    @Option(
            names = "--arena",
            paramLabel = "DIR",
            description = {
                "Park into files in this directory, which must exist, instead of anonymous memory: an absolute path as the process"
                        + " sees it, on tmpfs or a disk. The resume removes the files.",
                "With several processes, each gets a directory of its own below it: DIR/PID, which stays."
            })
    private @Nullable Path directory;

    /** @throws ParameterException if it is not an absolute path of one line */
    Suspend on(Suspend options, CommandLine line) {
        try {
            return directory == null ? options : options.arena(directory);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line, String.valueOf(e.getMessage()), e);
        }
    }

    Suspend on(Suspend options, GpuProcess process, boolean several) {
        return directory == null || !several ? options : options.arena(own(directory, process));
    }

    private static Path own(Path directory, GpuProcess process) {
        return directory.resolve(Long.toString(process.pid()));
    }

    /** The directory of one of several processes, from outside of its mount namespace. */
    private static Path seen(Path directory, GpuProcess process) {
        return Path.of(
                PROC.file(process.pid(), "root") + own(directory, process).toString());
    }

    /** Makes the directory of one of several processes, for its user alone. */
    void prepare(GpuProcess process, boolean several) {
        if (directory == null || !several) {
            return;
        }
        Path seen = seen(directory, process);
        try {
            if (!Files.isDirectory(seen)) {
                OwnedFolder.make(seen, PROC.user(process.pid()));
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.ARENA,
                    "The directory " + own(directory, process) + " cannot be made for process " + process.pid() + " ("
                            + e + "): name a directory that exists, or make this one for the user of the process.");
        }
    }

    /** Removes the directory of a process that was not parked into it. */
    void unchanged(GpuProcess process, boolean several) {
        if (directory != null && several) {
            try {
                Files.deleteIfExists(seen(directory, process));
            } catch (IOException e) {
                return; // it holds files, or the process and its view of the directory are gone
            }
        }
    }
}
