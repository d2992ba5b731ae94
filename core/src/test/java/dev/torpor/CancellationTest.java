package dev.torpor;

import static dev.torpor.Failures.failure;
import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CancellationTest {
    private final Cancellation cancellation = new Cancellation();
    private final Suspend down = Suspend.defaults().cancelledBy(cancellation);
    private final Resume up = Resume.defaults().cancelledBy(cancellation);
    private final FakeDriver fake = new FakeDriver();
    private Process sleeper;
    private FakeDriver other;

    @BeforeEach
    void begin() throws Exception {
        sleeper = new ProcessBuilder("sleep", "600").start();
        other = new FakeDriver(sleeper.pid());
    }

    @AfterEach
    void end() {
        sleeper.destroyForcibly();
    }

    /** Asks for the end while the function runs. */
    private <T> CompletableFuture<T> duringCall(FakeDriver driver, String function, Supplier<T> act) throws Exception {
        CountDownLatch released = new CountDownLatch(1);
        driver.hang(function, released);
        CompletableFuture<T> running = CompletableFuture.supplyAsync(act);
        Awaitility.await().until(() -> driver.calls.contains(function));
        cancellation.request();
        released.countDown();
        return running;
    }

    private static TorporException cancelled(CompletableFuture<?> running) {
        return failure(Problem.CANCELLED, () -> {
            try {
                running.get(30, TimeUnit.SECONDS);
            } catch (java.util.concurrent.ExecutionException e) {
                throw e.getCause();
            }
        });
    }

    @Test
    void theStepUnderWayIsFinishedAndTheSuspendUndone() throws Exception {
        GpuProcess process = fake.process();
        TorporException e = cancelled(duringCall(fake, "cuCheckpointProcessCheckpoint", () -> process.suspend(down)));
        assertThat(fake.state).isEqualTo(ProcessState.RUNNING);
        assertThat(names(e.report().orElseThrow().steps())).containsExactly("lock", "checkpoint");
        assertThat(names(e.report().orElseThrow().undone())).containsExactly("restore", "unlock");
        assertThat(e)
                .hasMessage("The suspend of process " + fake.pid
                        + " was cancelled after step checkpoint. It is still running.");
    }

    @Test
    void noStepIsBegunAfterTheRequest() throws Exception {
        GpuProcess process = fake.process();
        cancelled(duringCall(fake, "cuCheckpointProcessLock", () -> process.suspend(down)));
        assertThat(fake.state).isEqualTo(ProcessState.RUNNING);
        assertThat(fake.calls).doesNotContain("cuCheckpointProcessCheckpoint");
    }

    @Test
    void aResumeGoesBackToSleep() throws Exception {
        fake.state = ProcessState.CHECKPOINTED;
        GpuProcess process = fake.process();
        TorporException e = cancelled(duringCall(fake, "cuCheckpointProcessRestore", () -> process.resume(up)));
        assertThat(fake.state).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(e).hasMessageEndingWith("was cancelled after step restore. It is still checkpointed.");
    }

    @Test
    void aResumeWhoseLastStepIsUnderWayIsCompleted() throws Exception {
        fake.state = ProcessState.CHECKPOINTED;
        GpuProcess process = fake.process();
        Report report = duringCall(fake, "cuCheckpointProcessUnlock", () -> process.resume(up))
                .get(30, TimeUnit.SECONDS);
        assertThat(report.end()).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void whatBeginsAfterTheRequestTouchesNothing() {
        cancellation.request();
        failure(Problem.CANCELLED, () -> fake.process().suspend(down));
        assertThat(fake.calls).doesNotContain("cuCheckpointProcessLock");
        assertThat(fake.process()
                        .suspend(Suspend.defaults().lockTimeout(Duration.ofSeconds(1)))
                        .end())
                .isEqualTo(ProcessState.CHECKPOINTED);
    }

    @Test
    void anUndoingThatFailsIsSaid() throws Exception {
        GpuProcess process = fake.process();
        fake.fail("cuCheckpointProcessUnlock", 999);
        TorporException e = cancelled(duringCall(fake, "cuCheckpointProcessLock", () -> process.suspend(down)));
        assertThat(e).hasMessageContaining("Undoing it failed too").hasMessageEndingWith("It is locked now.");
    }

    @Test
    void aGroupGoesBackTogether() throws Exception {
        GpuGroup group = GpuGroup.of(List.of(fake.process(), other.process()));
        List<GroupResult> results = duringCall(
                        other, "cuCheckpointProcessLock", () -> group.suspendEach(process -> down))
                .get(30, TimeUnit.SECONDS);
        assertThat(results).allMatch(result -> result.report().isEmpty());
        assertThat(results.get(0).failure().orElseThrow().problem()).isEqualTo(Problem.CANCELLED);
        assertThat(List.of(fake.state, other.state)).containsOnly(ProcessState.RUNNING);
    }

    @Test
    void aGroupThatWakesGoesBackToSleep() throws Exception {
        fake.state = ProcessState.CHECKPOINTED;
        other.state = ProcessState.CHECKPOINTED;
        GpuGroup group = GpuGroup.of(List.of(fake.process(), other.process()));
        cancelled(duringCall(other, "cuCheckpointProcessRestore", () -> group.resume(up)));
        assertThat(List.of(fake.state, other.state)).containsOnly(ProcessState.CHECKPOINTED);
    }

    @Test
    void singleStepsOfAGroupAreUndoneToo() throws Exception {
        GpuGroup group = GpuGroup.of(List.of(fake.process(), other.process()));
        List<GroupResult> results = duringCall(
                        fake,
                        "cuCheckpointProcessLock",
                        () -> group.stepEach(Step.LOCK, process -> down, process -> up))
                .get(30, TimeUnit.SECONDS);
        assertThat(results).allMatch(result -> result.failure().isPresent());
        assertThat(List.of(fake.state, other.state)).containsOnly(ProcessState.RUNNING);
    }
}
