package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProcFsEndsTest {
    @TempDir
    private Path root = Path.of("");

    @ParameterizedTest
    @CsvSource({
        "S (sleeping), 100 kB, 0, 0, false",
        "T (stopped), 100 kB, 00000000000000ff, fffffffffffffeff, false",
        "D (disk sleep), 100 kB, 0000000000000100, 0, true",
        "D (disk sleep), 100 kB, 0, 0000000000000100, true",
        "R (running), , 0, 0, true",
        "Z (zombie), , 0, 0, true",
        "X (dead), , 0, 0, true",
    })
    void whoIsKilledOrHasNoMemoryEnds(String state, String resident, String own, String shared, boolean ends)
            throws IOException {
        Files.writeString(
                Files.createDirectory(root.resolve("4711")).resolve("status"),
                "Name:\tx\nState:\t" + state + "\n" + (resident == null ? "" : "VmRSS:\t" + resident + "\n")
                        + "SigPnd:\t" + own + "\nShdPnd:\t" + shared + "\n");
        assertThat(new ProcFs(root.toString()).ends(4711)).isEqualTo(ends);
    }

    @Test
    void whoIsNotThereHasEndedAndThisProcessHasNot() {
        assertThat(new ProcFs(root.toString()).ends(4711)).isTrue();
        assertThat(new ProcFs().ends(ProcessHandle.current().pid())).isFalse();
    }
}
