package dev.torpor;

import static dev.torpor.Failures.failure;
import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Steps whose answer comes late or never: they are waited for, asked for, and undone. */
@Timeout(60)
class LateAnswerTest {
    private static final Suspend DOWN = Suspend.to(Level.CHECKPOINT);
    private static final Duration SHORT = Duration.ofMillis(100);
    private static final Duration LONG = Duration.ofSeconds(50);

    private final FakeDriver driver = new FakeDriver();
    private final CountDownLatch end = new CountDownLatch(1);

    @TempDir
    private Path directory = Path.of("");

    private FakeShim shim;
    private GpuProcess process;

    @BeforeEach
    void begin() throws IOException {
        shim = new FakeShim(directory);
        driver.lateLimit = LONG;
        process = driver.process(shim.proc());
        shim.heard.clear();
    }

    @AfterEach
    void letAllEnd() {
        end.countDown();
        shim.close();
    }

    private static TorporException failed(CompletableFuture<?> future, Problem problem) {
        return failure(problem, () -> {
            try {
                future.get();
            } catch (ExecutionException e) {
                throw e.getCause();
            }
        });
    }

    /** Of the handle that counts, or else this test would do nothing. */
    private void awaitHeard(String line, int times) {
        await().atMost(LONG)
                .until(() -> shim.heard.stream()
                                .filter(heard -> heard.startsWith(line))
                                .count()
                        >= times);
    }

    private void assertRuns(TorporException e, String... undone) {
        assertThat(e).hasMessageEndingWith("It is still running.");
        assertThat(names(e.report().orElseThrow().undone())).containsExactly(undone);
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.RUNNING);
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
        assertThat(shim.state).isEqualTo("running");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aParkThatIsGivenUpIsWaitedForAndUndone(boolean earlierShim) {
        shim.earlier = earlierShim;
        shim.hold("park", "parking", end);
        CompletableFuture<Report> suspending = process.async().suspend(DOWN.stepTimeout(SHORT));
        awaitHeard("status", 2); // by another connection, after the park was given up
        assertThat(suspending).isNotDone();
        end.countDown();
        TorporException e = failed(suspending, Problem.UNRESPONSIVE);
        assertThat(e).hasMessageStartingWith("park(pid " + driver.pid + ") did not return within 100 ms");
        assertRuns(e, "unpark");
        assertThat(names(process.suspend().steps())).containsExactly("park", "lock", "checkpoint");
    }

    /** The connection breaks while the shim goes on. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aParkWhoseAnswerIsLostIsWaitedForAndUndone(boolean interrupted) {
        shim.hold("park", "parking", end);
        shim.loseAnswer("park");
        CompletableFuture<Boolean> interruptKept = new CompletableFuture<>();
        CompletableFuture<Report> suspending = new CompletableFuture<>();
        Thread caller = new Thread(() -> {
            try {
                suspending.complete(process.suspend(DOWN));
            } catch (TorporException e) {
                interruptKept.complete(Thread.currentThread().isInterrupted());
                suspending.completeExceptionally(e);
            }
        });
        caller.start();
        awaitHeard("park", 1);
        if (interrupted) {
            caller.interrupt();
        }
        awaitHeard("status", 3);
        if (interrupted) {
            caller.interrupt();
        }
        assertThat(suspending).isNotDone();
        end.countDown();
        assertRuns(failed(suspending, Problem.SHIM), "unpark");
        assertThat(interruptKept.join()).isEqualTo(interrupted);
    }

    @Test
    void aParkThatDoesNotEndInTimeLeavesATrueSentence() {
        driver.lateLimit = Duration.ofMillis(200);
        process = driver.process(shim.proc());
        shim.hold("park", "parking", end);
        TorporException e = failure(Problem.UNRESPONSIVE, () -> process.suspend(DOWN.stepTimeout(SHORT)));
        assertThat(e)
                .hasMessageContaining("the step may still end by itself")
                .hasMessageContaining("Ask for the state, and resume the process from there.")
                .hasMessageEndingWith("It is parking now.");
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.PARKING);
        assertThat(process.state()).isEqualTo(ProcessState.PARKING);
        end.countDown();
        await().atMost(LONG).until(() -> process.state().equals(ProcessState.PARKED));
        assertThat(process.resume().end()).isEqualTo(ProcessState.RUNNING);
    }

    /** It was given up while another controller's was under way, and then refused. */
    @Test
    void aParkThatWasAnotherControllersIsNotUndone() {
        shim.before = line -> {
            if (line.startsWith("park") && shim.state.equals("running")) {
                shim.state = "parked";
                shim.parkedBy = "another";
            }
        };
        shim.sayAfterwards("park", "");
        TorporException e = failure(Problem.SHIM, () -> process.suspend(DOWN));
        assertThat(e.report().orElseThrow().undone()).isEmpty();
        assertThat(e).hasMessageEndingWith("It is parked now.");
        assertThat(shim.parkedBy).isEqualTo("another");
    }

    @Test
    void anUnparkThatUndoesIsGivenTheTimeThatItNeeds() {
        driver.fail("cuCheckpointProcessLock", 999);
        shim.hold("unpark", "unparking", end);
        CompletableFuture<Report> suspending = process.async().suspend(DOWN.stepTimeout(SHORT));
        awaitHeard("unpark", 1);
        assertThat(suspending).isNotDone();
        end.countDown();
        assertRuns(failed(suspending, Problem.DRIVER), "unpark");
    }

    @Test
    void anUnparkWhoseAnswerIsLostHasUndone() {
        driver.fail("cuCheckpointProcessLock", 999);
        shim.sayAfterwards("unpark", "");
        assertRuns(failure(Problem.DRIVER, () -> process.suspend(DOWN)), "unpark");
    }

    @Test
    void aLateUnparkOfAResumeIsToldAsItIs() {
        process.suspend(DOWN);
        shim.hold("unpark", "unparking", end);
        TorporException e = failure(
                Problem.UNRESPONSIVE, () -> process.resume(Resume.defaults().stepTimeout(SHORT)));
        assertThat(e).hasMessageEndingWith("It is unparking now.");
        end.countDown();
        await().atMost(LONG).until(() -> process.state().equals(ProcessState.RUNNING));
    }

    @ParameterizedTest
    @ValueSource(strings = {"cuCheckpointProcessLock", "cuCheckpointProcessCheckpoint"})
    void aStepOfTheDriverThatIsGivenUpIsWaitedForAndUndone(String function) {
        driver.hang(function, end);
        CompletableFuture<Report> suspending = process.async().suspend(DOWN.stepTimeout(SHORT));
        await().atMost(LONG).until(() -> driver.givenUp() == 1);
        assertThat(suspending).isNotDone();
        end.countDown();
        TorporException e = failed(suspending, Problem.UNRESPONSIVE);
        assertThat(e).hasMessageStartingWith(function + "(pid " + driver.pid + ") did not return within 100 ms");
        assertThat(e).hasMessageEndingWith("It is still running.");
        assertThat(names(e.report().orElseThrow().undone())).endsWith("unlock", "unpark");
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
        assertThat(shim.state).isEqualTo("running");
    }

    @Test
    void noStepBeginsWhileAnotherThatWasGivenUpIsInTheDriver() {
        driver.lateLimit = SHORT;
        process = driver.process(shim.proc());
        driver.hang("cuCheckpointProcessLock", end);
        TorporException e = failure(Problem.UNRESPONSIVE, () -> process.suspend(DOWN.stepTimeout(SHORT)));
        assertThat(e)
                .hasMessageContaining("what was done before it (park) stays")
                .hasMessageEndingWith("Its state is unknown.");
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.UNKNOWN);
        assertThat(failure(
                        Problem.UNRESPONSIVE,
                        () -> driver.process(shim.proc())
                                .resume(Resume.defaults().stepTimeout(SHORT))))
                .hasMessageStartingWith(
                        "cuCheckpointProcessLock(pid " + driver.pid + "), which an earlier call gave up")
                .hasMessageEndingWith("The process was not touched.");
        CompletableFuture<Report> resuming = process.async().resume();
        end.countDown();
        assertThat(names(resuming.join().steps())).containsExactly("unlock", "unpark");
    }

    @Test
    void theStateIsToldAtOnceWhileItParks() {
        shim.hold("park", "parking", end);
        CompletableFuture<Report> suspending = process.async().suspend(DOWN);
        await().atMost(LONG).until(() -> process.state().equals(ProcessState.PARKING));
        assertThat(process.state(LONG)).isEqualTo(ProcessState.PARKING);
        end.countDown();
        suspending.join();
    }

    @Test
    void anEarlierShimThatIsSilentIsTakenToPark() {
        shim.earlier = true;
        shim.hold("park", "parking", end);
        CompletableFuture<Report> suspending = process.async().suspend(DOWN);
        awaitHeard("park", 1);
        assertThat(process.state()).isEqualTo(ProcessState.PARKING);
        failure(Problem.UNRESPONSIVE, () -> process.state(SHORT)); // less than such an answer takes
        end.countDown();
        suspending.join();
    }
}
