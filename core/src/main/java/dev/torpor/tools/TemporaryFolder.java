package dev.torpor.tools;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** An empty folder that only its owner can use, and that is gone with all that is in it when it is closed. */
public final class TemporaryFolder implements AutoCloseable {
    private final Path path;

    private TemporaryFolder(Path path) {
        this.path = path;
    }

    /**
     * A new one in the folder for temporary files.
     *
     * @throws TorporException {@link Problem#TOOL} if it cannot be made
     */
    public static TemporaryFolder make() {
        return in(Path.of(System.getProperty("java.io.tmpdir")));
    }

    /**
     * A new one in a folder that is there.
     *
     * @throws TorporException {@link Problem#TOOL} if it cannot be made
     */
    public static TemporaryFolder in(Path folder) {
        try {
            return new TemporaryFolder(Files.createTempDirectory(folder, "torpor-"));
        } catch (IOException e) {
            throw new TorporException(
                    Problem.TOOL,
                    "No temporary directory can be made in " + folder + ": " + IoReason.of(e)
                            + ". Make room there and allow writing.");
        }
    }

    /** An absolute path. */
    public Path path() {
        return path.toAbsolutePath();
    }

    /** What cannot be deleted stays: the work that the folder was for has been done, and its outcome counts. */
    @Override
    public void close() {
        try {
            deleteAll(path);
        } catch (IOException e) {
            System.getLogger("dev.torpor")
                    .log(System.Logger.Level.WARNING, "the temporary directory {0} is left: {1}", path, IoReason.of(e));
        }
    }

    /** Deletes a folder with all that is in it. */
    public static void deleteAll(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files = all.sorted(Comparator.reverseOrder()).toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        for (Path file : files) {
            Files.delete(file);
        }
    }
}
