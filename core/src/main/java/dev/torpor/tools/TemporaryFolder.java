package dev.torpor.tools;

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

    /** A new one in the folder for temporary files. */
    public static TemporaryFolder make() {
        return in(Path.of(System.getProperty("java.io.tmpdir")));
    }

    /** A new one in a folder that is there. */
    public static TemporaryFolder in(Path folder) {
        try {
            return new TemporaryFolder(Files.createTempDirectory(folder, "torpor-"));
        } catch (IOException e) {
            throw new UncheckedIOException("no temporary folder can be made in " + folder, e);
        }
    }

    /** An absolute path. */
    public Path path() {
        return path.toAbsolutePath();
    }

    @Override
    public void close() {
        try {
            deleteAll(path);
        } catch (IOException e) {
            throw new UncheckedIOException("the temporary folder " + path + " cannot be deleted", e);
        }
    }

    /** Deletes a folder with all that is in it. */
    public static void deleteAll(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files = all.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path file : files) {
            Files.delete(file);
        }
    }
}
