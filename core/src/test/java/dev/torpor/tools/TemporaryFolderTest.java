package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatNoException;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemporaryFolderTest {
    @TempDir
    private Path place;

    @Test
    void itIsGoneWithWhatIsInIt() throws IOException {
        Path made;
        try (TemporaryFolder folder = TemporaryFolder.in(place)) {
            made = folder.path();
            Files.createDirectories(made.resolve("a/b"));
            Files.writeString(made.resolve("a/b/c"), "text");
        }
        assertThat(made).doesNotExist();
    }

    @Test
    void oneThatCannotBeMadeIsASentence() {
        assertThatExceptionOfType(TorporException.class)
                .isThrownBy(() -> TemporaryFolder.in(place.resolve("nowhere")))
                .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.TOOL))
                .withMessage("No temporary directory can be made in " + place.resolve("nowhere")
                        + ": no such file or directory. Make room there and allow writing.");
    }

    @Test
    void oneThatCannotBeDeletedDoesNotHideWhatWasDone() throws IOException {
        TemporaryFolder folder = TemporaryFolder.in(place);
        Files.delete(folder.path());
        assertThatNoException().isThrownBy(folder::close);
    }
}
