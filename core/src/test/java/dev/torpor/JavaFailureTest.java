package dev.torpor;

import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What is thrown in a step, an Error of the JVM too, ends as every other failure does: undone, with a report. */
@Timeout(60)
class JavaFailureTest {
    private static final List<Throwable> THROWN = List.of(
            new StackOverflowError(),
            new OutOfMemoryError("unable to create native thread"),
            new NoClassDefFoundError("com/sun/jna/Native"),
            new IllegalStateException("of a binding"),
            new AssertionError("of a listener"));

    private final FakeDriver driver = new FakeDriver();

    @TempDir
    private Path directory = Path.of("");

    private FakeShim shim;
    private GpuProcess process;

    @BeforeEach
    void begin() throws IOException {
        shim = new FakeShim(directory);
        process = driver.process(shim.proc());
    }

    @AfterEach
    void end() {
        shim.close();
    }

    static Stream<Arguments> stepsOfTheDriver() {
        return THROWN.stream()
                .flatMap(thrown -> Stream.of(Step.LOCK, Step.CHECKPOINT)
                        .flatMap(step -> Stream.of(true, false)
                                .flatMap(after -> Stream.of(true, false)
                                        .map(limited -> Arguments.of(thrown, step, after, limited)))));
    }

    @ParameterizedTest
    @MethodSource("stepsOfTheDriver")
    void aSuspendIsUndone(Throwable thrown, Step step, boolean after, boolean limited) {
        driver.fail(step.function(), thrown, after);
        Suspend options = limited ? Suspend.defaults().stepTimeout(Duration.ofSeconds(30)) : Suspend.defaults();
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.suspend(options));
        assertThat(e).hasMessageStartingWith(step.function() + "(pid " + driver.pid + ") failed in this program: ");
        assertThat(e).hasMessageEndingWith("It is still running.").hasRootCause(thrown);
        assertThat(e.problem()).isEqualTo(Problem.DRIVER);
        Report report = e.report().orElseThrow();
        assertThat(report.end()).isEqualTo(ProcessState.RUNNING);
        assertThat(names(report.undone())).endsWith("unpark");
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
        assertThat(shim.state).isEqualTo("running");
    }

    @ParameterizedTest
    @MethodSource("stepsOfTheDriver")
    void aResumeSaysWhereItStands(Throwable thrown, Step step, boolean after, boolean limited) {
        process.suspend();
        Step up = step.inverse();
        driver.fail(up.function(), thrown, after);
        Resume options = limited ? Resume.defaults().stepTimeout(Duration.ofSeconds(30)) : Resume.defaults();
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.resume(options));
        assertThat(e).hasRootCause(thrown);
        assertThat(e.report().orElseThrow().end())
                .isEqualTo(driver.state.equals(ProcessState.RUNNING) ? ProcessState.PARKED : driver.state);
        driver.heal();
        assertThat(process.resume().end()).isEqualTo(ProcessState.RUNNING);
    }

    /** Words for an error are the binding's, too, and so is the state afterwards. */
    @Test
    void aBindingThatFailsForEveryCallLeavesAReport() {
        driver.fail("cuCheckpointProcessCheckpoint", 999);
        driver.fail("cuGetErrorName", new NoClassDefFoundError("gone"), false);
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.suspend());
        assertThat(e)
                .hasMessageStartingWith("cuCheckpointProcessCheckpoint(pid " + driver.pid + ") failed: CUresult 999.")
                .hasMessageEndingWith("It is still running.");
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aStateThatCannotBeAskedForAfterAFailureIsUnknown() {
        int[] asked = {0};
        driver.fail("cuCheckpointProcessCheckpoint", 999);
        driver.before = function -> {
            if (function.equals("cuCheckpointProcessGetState") && asked[0]++ > 0) {
                throw new NoClassDefFoundError("gone");
            }
        };
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.suspend());
        assertThat(e).hasMessageEndingWith("Its state is unknown.");
        assertThat(names(e.report().orElseThrow().undone())).containsExactly("unlock", "unpark");
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
        assertThat(shim.state).isEqualTo("running");
    }

    @Test
    void anUndoingThatThrowsIsSaid() {
        driver.fail("cuCheckpointProcessCheckpoint", 999);
        driver.fail("cuCheckpointProcessUnlock", new StackOverflowError(), false);
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.suspend());
        assertThat(e)
                .hasMessageContaining("Undoing it failed too: cuCheckpointProcessUnlock(pid ")
                .hasMessageContaining(" failed in this program: java.lang.StackOverflowError.")
                .hasMessageEndingWith("It is locked now, and parked.");
    }

    /** As much as a conversation admits, of what once took the parser's stack. */
    @ParameterizedTest
    @MethodSource("longAnswers")
    void anAnswerOfAnyLengthIsNoMoreThanAWrongOne(String answer) {
        shim.sayAfterwards("park", answer);
        TorporException e = catchThrowableOfType(TorporException.class, () -> process.suspend());
        if (e == null) {
            assertThat(process.resume().end()).isEqualTo(ProcessState.RUNNING);
        } else {
            assertThat(e).hasMessageEndingWith("It is still running.");
            assertThat(names(e.report().orElseThrow().undone())).containsExactly("unpark");
        }
        assertThat(shim.state).isEqualTo("running");
    }

    static Stream<String> longAnswers() {
        return Stream.of(
                "ok" + " a=1".repeat(16_000) + "\n",
                "ok" + " a=1".repeat(20_000) + "\n",
                "ok" + " a=1".repeat(2_000) + " ?\n",
                "error " + "a-".repeat(30_000) + "\n",
                "x".repeat(200_000));
    }

    @ParameterizedTest
    @MethodSource("listeners")
    void aListenerThatThrowsChangesNothing(Throwable thrown) {
        ProgressListener listener = progress -> {
            throw sneaky(thrown);
        };
        assertThat(process.suspend(Suspend.defaults().onProgress(listener)).end())
                .isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(process.resume(Resume.defaults().onProgress(listener)).end()).isEqualTo(ProcessState.RUNNING);
    }

    static Stream<Throwable> listeners() {
        return Stream.concat(THROWN.stream(), Stream.of(new IOException("checked, and thrown all the same")));
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> RuntimeException sneaky(Throwable thrown) throws T {
        throw (T) thrown;
    }

    @Test
    void aGroupGoesBackTogether() throws IOException {
        Process sleeper = new ProcessBuilder("sleep", "600").start();
        try {
            FakeDriver other = new FakeDriver(sleeper.pid());
            other.fail("cuCheckpointProcessCheckpoint", new StackOverflowError(), true);
            GpuGroup group = GpuGroup.of(List.of(process, other.process()));
            TorporException e = catchThrowableOfType(TorporException.class, () -> group.suspend(Suspend.defaults()));
            assertThat(e).hasMessageContaining("failed in this program: java.lang.StackOverflowError");
            assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
            assertThat(shim.state).isEqualTo("running");
            assertThat(other.state).isEqualTo(ProcessState.RUNNING);
        } finally {
            sleeper.destroyForcibly();
        }
    }
}
