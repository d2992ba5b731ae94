package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The shim is held to the same table by its own tests. */
class SocketFolderTest {
    private static final Path TABLE = Path.of("../native/tests/socket_folders.h");
    private static final String DEFAULT = "/tmp/torpor-1000";

    static Stream<Arguments> rows() throws IOException {
        return Files.readAllLines(TABLE).stream()
                .filter(line -> line.startsWith("SOCKET_FOLDER"))
                .map(line -> line.split("\""))
                .map(parts -> Arguments.of(here(parts[1]), here(parts[3])));
    }

    private static String here(String text) {
        return text.replace("ROOT", "/run/some").replace("DEFAULT", DEFAULT);
    }

    @ParameterizedTest
    @MethodSource("rows")
    void theFolderIsNamedAsTheShimReadsIt(String value, String folder) {
        List<Path> candidates = SocketFolder.candidates(value, null, 1000);
        assertThat(candidates).contains(Path.of(folder));
        assertThat(candidates.size() == 1).isEqualTo(!folder.equals(DEFAULT));
    }

    @Test
    void withoutTheVariableItIsWhereTheShimLooksForOneThatCanBeTrusted() {
        assertThat(SocketFolder.candidates(null, "/run/user/7", 1000))
                .startsWith(Path.of("/run/user/7/torpor"), Path.of("/run/user/1000/torpor"), Path.of(DEFAULT))
                .contains(Path.of(DEFAULT + "-1"), Path.of(DEFAULT + "-7"));
        assertThat(SocketFolder.candidates("", "relative", 1000))
                .startsWith(Path.of("/run/user/1000/torpor"), Path.of(DEFAULT));
        assertThat(SocketFolder.candidates("/x", "/run/user/7", 1000)).containsExactly(Path.of("/x"));
    }
}
