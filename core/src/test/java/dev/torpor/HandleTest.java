package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which process a handle means. */
class HandleTest {
    private final FakeDriver fake = new FakeDriver();

    @TempDir
    private Path root;

    @BeforeEach
    void begin() throws IOException {
        Files.createDirectory(root.resolve("7"));
        Files.writeString(root.resolve("7/status"), "Name:\tsh\nTgid:\t7\nUid:\t1000\t1000\t1000\t1000\n");
        started(100);
    }

    private void started(int ticks) throws IOException {
        Files.writeString(
                root.resolve("7/stat"), "7 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " + ticks + " 20");
    }

    private Preflight handle(long pid) {
        return Preflight.of(fake.cuda(), new ProcFs(root.toString()), pid);
    }

    private static void assertProblem(Problem problem, String words, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        TorporException.class, e -> assertThat(e.problem()).isEqualTo(problem))
                .hasMessageContaining(words);
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 0, 8, 4194305, Long.MAX_VALUE, 7L + (1L << 32)})
    void aPidWithoutAProcessIsRefused(long pid) {
        assertProblem(Problem.NO_SUCH_PROCESS, "There is no process " + pid, () -> handle(pid));
    }

    @Test
    void anotherProcessWithTheSamePidIsRefused() throws IOException {
        Preflight handle = handle(7);
        handle.identify();
        started(200);
        assertProblem(Problem.PROCESS_REPLACED, "Process 7 is another one", handle::identify);
        assertThat(handle.alive()).isFalse();
    }

    @Test
    void aProcessThatHasEndedIsRefused() throws IOException {
        Preflight handle = handle(7);
        Files.delete(root.resolve("7/stat"));
        assertProblem(Problem.NO_SUCH_PROCESS, "it has ended", handle::identify);
        fake.fail("cuCheckpointProcessGetState", 304);
        assertProblem(Problem.NO_SUCH_PROCESS, "The process has ended", () -> handle.state(Optional.empty()));
    }

    @Test
    void aThreadIsRefusedWithThePidOfItsProcess() throws IOException {
        Files.createDirectory(root.resolve("9"));
        Files.writeString(root.resolve("9/status"), "Tgid:\t7\n");
        Files.copy(root.resolve("7/stat"), root.resolve("9/stat"));
        assertProblem(Problem.NO_SUCH_PROCESS, "9 is a thread of process 7: use 7", () -> handle(9));
    }

    @Test
    void whoseProcessItIsIsSaidWherePermissionLacks() {
        fake.fail("cuCheckpointProcessGetState", 304);
        assertProblem(
                Problem.NO_PERMISSION, "runs as user 1000", () -> handle(7).state(Optional.empty()));
    }
}
