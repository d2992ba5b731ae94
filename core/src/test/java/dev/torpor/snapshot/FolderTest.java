package dev.torpor.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Failures;
import dev.torpor.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderTest {
    private static final Manifest MANIFEST = new Manifest(
            Manifest.FORMAT,
            "now",
            false,
            true,
            "Linux",
            new Manifest.Driver("", 0, "", 0),
            List.of(),
            List.of(),
            List.of(),
            Map.of());

    @TempDir
    private Path directory = Path.of("");

    private Folder folder = Folder.of(directory);

    @BeforeEach
    void make() {
        folder = Folder.make(directory.resolve("snapshot"));
    }

    @Test
    void whoeverIsRefusedLeavesTheLockToTheOther() throws IOException {
        Path link = Files.createSymbolicLink(directory.resolve("link"), folder.path());
        boolean locked = folder.alone(() -> {
            for (Folder same : List.of(folder, Folder.of(link))) {
                assertThat(Failures.failure(Problem.SNAPSHOT, () -> same.alone(() -> "at it")))
                        .hasMessageContaining("Somebody else works with " + same.path());
            }
            return isLocked();
        });

        assertThat(locked).isTrue();
        assertThat(folder.alone(() -> "at it")).isEqualTo("at it");
    }

    private boolean isLocked() {
        try {
            String end = ":" + Files.getAttribute(folder.path().resolve("lock"), "unix:ino") + " ";
            return Files.readAllLines(Path.of("/proc/locks")).stream()
                    .anyMatch(lock -> lock.contains("POSIX") && lock.contains(end));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void anInterruptDoesNotKeepTheManifestFromTheDisk() throws IOException {
        Thread.currentThread().interrupt();
        try {
            folder.writePartial(MANIFEST);
            folder.writeSealed(MANIFEST);
        } finally {
            assertThat(Thread.interrupted()).isTrue();
        }
        assertThat(folder.read()).isEqualTo(MANIFEST);
        for (Path file : List.of(folder.partial(), folder.manifest())) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                    .isEqualTo("rw-------");
        }
    }
}
