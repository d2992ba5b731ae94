package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DumpRootTest {
    private static final long SELF = ProcessHandle.current().pid();

    @TempDir
    private Path directory = Path.of("");

    private void add(long pid, long parent, long flags) throws IOException {
        Path folder = Files.createDirectory(directory.resolve("" + pid));
        Files.writeString(
                folder.resolve("stat"),
                pid + " (a name) S " + parent + " 1 1 0 -1 " + flags + " 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n");
        Files.writeString(folder.resolve("comm"), "a name\n");
    }

    private String refusal(long pid) {
        return DumpRoot.refusal(new ProcFs(directory.toString()), pid).orElse("");
    }

    @Test
    void whatHoldsThisProcessIsRefused() throws IOException {
        add(1, 0, 0);
        add(SELF, SELF + 1, 0);
        add(SELF + 1, SELF + 2, 0);
        add(SELF + 2, 1, 0);
        add(SELF + 3, SELF, 0);
        add(SELF + 4, SELF + 2, 0);

        assertThat(refusal(1)).startsWith("Process 1 is the first of its pid namespace");
        assertThat(refusal(SELF)).contains("is this process itself");
        assertThat(refusal(SELF + 1)).contains("([a name]) is an ancestor of this process (" + SELF + ")");
        assertThat(refusal(SELF + 2)).contains("is an ancestor of this process");
        assertThat(refusal(SELF + 3)).isEmpty();
        assertThat(refusal(SELF + 4)).isEmpty();
    }

    @Test
    void aKernelThreadIsRefused() throws IOException {
        add(SELF, 1, 0);
        add(2, 0, 2129984);
        add(77, 2, 69238880);

        assertThat(refusal(2)).contains("is a kernel thread");
        assertThat(refusal(77))
                .isEqualTo("Process 77 ([a name]) is a kernel thread, which cannot be saved: name a"
                        + " process with a program. Nothing was touched.");
    }

    @Test
    void ofTheRealProcessesOnlyThoseAboveAreRefused() throws IOException {
        Process child = new ProcessBuilder("sleep", "600").start();
        ProcFs proc = new ProcFs();

        assertThat(DumpRoot.refusal(proc, child.pid())).isEmpty();
        assertThat(DumpRoot.refusal(
                        proc, ProcessHandle.current().parent().orElseThrow().pid()))
                .isPresent();
        assertThat(DumpRoot.refusal(proc, Integer.MAX_VALUE)).isEmpty();
        child.destroy();
    }
}
