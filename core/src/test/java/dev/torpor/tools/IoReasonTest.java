package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.Map;
import org.junit.jupiter.api.Test;

class IoReasonTest {
    @Test
    void theReasonIsInWordsAndNeverAClassOrThePathAlone() {
        Map<IOException, String> reasons = Map.of(
                new NoSuchFileException("/x"), "no such file or directory",
                new AccessDeniedException("/x"), "permission denied",
                new FileAlreadyExistsException("/x"), "it exists already",
                new NotDirectoryException("/x"), "not a directory",
                new DirectoryNotEmptyException("/x"), "the directory is not empty",
                new EOFException(), "it ends too early",
                new MalformedInputException(1), "it is not UTF-8 text",
                new FileSystemException("/x", null, "No space left on device"), "No space left on device",
                new FileNotFoundException("/x/y (Is a directory)"), "Is a directory",
                new IOException(), "an input or output error");
        reasons.forEach((failure, reason) -> assertThat(IoReason.of(failure)).isEqualTo(reason));
        assertThat(IoReason.of(new FileSystemException("/x"))).isEqualTo("an input or output error");
        assertThat(IoReason.of(new IOException("the pipe broke"))).isEqualTo("the pipe broke");
    }
}
