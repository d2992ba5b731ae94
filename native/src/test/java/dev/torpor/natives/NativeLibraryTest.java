package dev.torpor.natives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NativeLibraryTest {
    private static final byte[] ELF = {0x7f, 'E', 'L', 'F'};

    @TempDir
    private Path directory;

    @AfterEach
    void end() {
        System.clearProperty(NativeLibrary.DIRECTORY);
        System.clearProperty(NativeLibrary.TEMPORARY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"libtorpor.so", "libtorpor_early.so"})
    void aLibraryOfTheJarIsCopiedOnceForItsOwnerAlone(String name) throws IOException {
        System.setProperty(NativeLibrary.TEMPORARY, directory.toString());
        Path file = NativeLibrary.file(name);
        assertThat(file.startsWith(directory.toRealPath())).isTrue();
        assertThat(file.getFileName().toString())
                .matches(name.replace(".so", "-\\d+\\.\\d+\\.\\d+\\S*-[0-9a-f]{12}\\.so"));
        assertThat(Files.readAllBytes(file)).startsWith(ELF);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
        assertThat(NativeLibrary.file(name)).isEqualTo(file);
    }

    @Test
    void aDirectoryThatIsNamedComesFirst() throws IOException {
        Path file = Files.createFile(directory.resolve("libtorpor.so"));
        System.setProperty(NativeLibrary.DIRECTORY, directory.toString());
        assertThat(NativeLibrary.file("libtorpor.so")).isEqualTo(file);
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.file("libtorpor_early.so"))
                .withMessageContaining(directory.toString())
                .withMessageContaining(NativeLibrary.DIRECTORY);
    }

    @Test
    void aLibraryThatTheJarLacksIsNamed() {
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> NativeLibrary.file("libother.so"))
                .withMessageContaining("libother.so");
    }
}
