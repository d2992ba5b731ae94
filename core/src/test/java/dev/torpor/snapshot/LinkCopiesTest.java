package dev.torpor.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Failures;
import dev.torpor.Problem;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LinkCopiesTest {
    @TempDir
    private Path directory = Path.of("");

    private final Path semaphore =
            Path.of("/dev/shm/sem.torpor-test-" + ProcessHandle.current().pid() + "-" + System.nanoTime());
    private Folder folder = Folder.of(directory);

    @BeforeEach
    void make() {
        folder = Folder.make(directory.resolve("snapshot"));
        folder.makeLinks();
    }

    @AfterEach
    void removeSemaphore() throws IOException {
        Files.deleteIfExists(semaphore);
    }

    /** As a save leaves it. */
    private Path copy(Path place, String content, Path... names) throws IOException {
        Path copy = folder.links().resolve(RemappedLinks.encoded(place.toString()));
        Files.writeString(copy, content);
        Files.write(
                copy.resolveSibling(copy.getFileName() + ".names"),
                List.of(names).stream().map(Path::toString).toList());
        return copy;
    }

    @Test
    void aCopyIsPutWhereItWasAndTakenAwayAgain() throws IOException {
        Path place = directory.resolve("link_remap.5");
        copy(place, "as saved");
        LinkCopies copies = LinkCopies.in(folder);

        assertThat(copies.putBack()).isEmpty();

        assertThat(place).hasContent("as saved");
        copies.remove();
        assertThat(place).doesNotExist();
    }

    @Test
    void aNameThatIsThereMeansTheSameFile() throws IOException {
        Path place = directory.resolve("link_remap.5");
        Path name = Files.writeString(directory.resolve("name"), "as it is now");
        copy(place, "as saved", name);

        LinkCopies.in(folder).putBack();

        assertThat(place).hasContent("as it is now");
        assertThat(Files.isSameFile(place, name)).isTrue();
    }

    @Test
    void aSemaphoreThatNobodyUsesHasItsValueOfThen() throws IOException {
        Path place = semaphore.resolveSibling("link_remap." + semaphore.getFileName());
        Files.writeString(semaphore, "as it is now");
        copy(place, "as saved", semaphore);
        LinkCopies copies = LinkCopies.in(folder);

        assertThat(copies.putBack()).isEmpty();

        assertThat(semaphore).hasContent("as saved");
        assertThat(Files.isSameFile(place, semaphore)).isTrue();
        copies.remove();
    }

    @Test
    void aSemaphoreThatOthersUseIsSharedWithThem() throws IOException {
        Path place = semaphore.resolveSibling("link_remap." + semaphore.getFileName());
        Files.writeString(semaphore, "as it is now");
        copy(place, "as saved", semaphore);
        LinkCopies copies = LinkCopies.in(folder);
        try (RandomAccessFile open = new RandomAccessFile(semaphore.toFile(), "rw")) {
            open.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, open.length());

            assertThat(copies.putBack()).singleElement().asString().contains(semaphore + " is in use");
        }
        assertThat(semaphore).hasContent("as it is now");
        assertThat(Files.isSameFile(place, semaphore)).isTrue();
        copies.remove();
    }

    @Test
    void anotherDumpsLinkIsLeftAlone() throws IOException {
        Path place = Files.writeString(directory.resolve("link_remap.5"), "another dump's");
        Path first = directory.resolve("link_remap.1");
        copy(first, "as saved");
        Path copy = copy(place, "as saved");
        LinkCopies copies = LinkCopies.in(folder);

        assertThat(Failures.failure(Problem.SNAPSHOT, copies::putBack))
                .hasMessageContaining(place + " is another dump's")
                .hasMessageEndingWith("Nothing was started.");
        assertThat(place).hasContent("another dump's");
        assertThat(first).doesNotExist();

        Files.writeString(copy, "another dump's"); // what a load that was killed has left
        assertThat(LinkCopies.in(folder).putBack()).isEmpty();
    }

    @Test
    void aSnapshotWithoutAnyHasNothingToPut() {
        assertThat(LinkCopies.in(Folder.of(directory)).putBack()).isEmpty();
    }

    @Property(tries = 200)
    void anyPathCanBeTheNameOfAFile(@ForAll @StringLength(min = 1, max = 40) String path) {
        String name = RemappedLinks.encoded(path);

        assertThat(name).doesNotContain("/").doesNotContain("'");
        assertThat(RemappedLinks.decoded(name)).isEqualTo(path);
    }
}
