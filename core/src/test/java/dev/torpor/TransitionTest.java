package dev.torpor;

import static dev.torpor.Failures.failure;
import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.torpor.driver.CudaResult;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class TransitionTest {
    private final FakeDriver fake = new FakeDriver();

    @Test
    void aSuspendReportsItsSteps() {
        Report report = fake.process().suspend();
        assertThat(names(report.steps())).containsExactly("lock", "checkpoint");
        assertThat(report.start()).isEqualTo(ProcessState.RUNNING);
        assertThat(report.end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(report.deviceBytes()).hasValue(fake.held);
        assertThat(report.undone()).isEmpty();
        assertThat(report.failure()).isEmpty();
        assertThat(report.simulated()).isFalse();
        assertThat(report.total()).isGreaterThanOrEqualTo(report.driverTime());
    }

    @Test
    void aResumeGoesOnFromWhereverAControllerLeftTheProcess() {
        fake.state = ProcessState.CHECKPOINTED;
        assertThat(names(fake.process().resume().steps())).containsExactly("restore", "unlock");
        fake.state = ProcessState.LOCKED;
        assertThat(names(fake.process().resume().steps())).containsExactly("unlock");
    }

    @Test
    void aSuspendOfALockedProcessOnlyCheckpoints() {
        fake.state = ProcessState.LOCKED;
        assertThat(names(fake.process().suspend().steps())).containsExactly("checkpoint");
    }

    @Test
    void aCheckpointThatFailsLeavesTheProcessRunning() {
        fake.fail("cuCheckpointProcessCheckpoint", 999);
        TorporException e = failure(Problem.DRIVER, () -> fake.process().suspend());
        assertThat(fake.state).isEqualTo(ProcessState.RUNNING);
        assertThat(e.cudaResult()).isEqualTo(999);
        Report report = e.report().orElseThrow();
        assertThat(names(report.steps())).containsExactly("lock");
        assertThat(names(report.undone())).containsExactly("unlock");
        assertThat(report.end()).isEqualTo(ProcessState.RUNNING);
        assertThat(e)
                .hasMessageContaining("cuCheckpointProcessCheckpoint(pid " + fake.pid + ")")
                .hasMessageEndingWith("It is still running.");
    }

    @Test
    void aCheckpointThatFailsAfterItsWorkIsUndoneFromWhereItIs() {
        fake.failAfter("cuCheckpointProcessCheckpoint", 999);
        TorporException e = failure(Problem.DRIVER, () -> fake.process().suspend());
        assertThat(fake.state).isEqualTo(ProcessState.RUNNING);
        assertThat(names(e.report().orElseThrow().undone())).containsExactly("restore", "unlock");
    }

    @Test
    void aSingleCheckpointThatFailsLeavesTheLockOfItsCaller() {
        fake.state = ProcessState.LOCKED;
        fake.fail("cuCheckpointProcessCheckpoint", 999);
        TorporException e = failure(Problem.DRIVER, () -> fake.process().checkpoint());
        assertThat(fake.state).isEqualTo(ProcessState.LOCKED);
        assertThat(e).hasMessageEndingWith("It is still locked.");
    }

    @Test
    void whatCannotBeUndoneIsSaid() {
        fake.fail("cuCheckpointProcessCheckpoint", 999);
        fake.fail("cuCheckpointProcessUnlock", 998);
        TorporException e = failure(Problem.DRIVER, () -> fake.process().suspend());
        assertThat(e)
                .hasMessageContaining("Undoing it failed too: cuCheckpointProcessUnlock answered CUDA_ERROR_998 (998)")
                .hasMessageEndingWith("It is locked now.");
        assertThat(e.report().orElseThrow().undone()).isEmpty();
    }

    @Test
    void aResumeThatFailsIsNotUndone() {
        fake.state = ProcessState.CHECKPOINTED;
        fake.fail("cuCheckpointProcessUnlock", 999);
        GpuProcess process = fake.process();
        TorporException e = failure(Problem.DRIVER, process::resume);
        assertThat(e).hasMessageEndingWith("It is locked now.");
        fake.heal();
        assertThat(names(process.resume().steps())).containsExactly("unlock");
    }

    @Test
    void aRestoreOutOfMemoryIsFinalAndSaysSo() {
        fake.state = ProcessState.CHECKPOINTED;
        fake.fail("cuCheckpointProcessRestore", CudaResult.OUT_OF_MEMORY);
        TorporException e = failure(Problem.RESTORE_FAILED, () -> fake.process().resume());
        assertThat(e)
                .hasMessageContaining("end it and start it again")
                .hasMessageEndingWith("It is still checkpointed.");
        fake.fail("cuCheckpointProcessRestore", CudaResult.OPERATING_SYSTEM);
        failure(Problem.RESTORE_FAILED, () -> fake.process().resume());
    }

    @Test
    void aLockThatTimesOutSaysHowLongItWaited() {
        fake.fail("cuCheckpointProcessLock", CudaResult.NOT_READY);
        TorporException e = failure(
                Problem.LOCK_TIMEOUT,
                () -> fake.process().suspend(Suspend.defaults().lockTimeout(Duration.ofMillis(250))));
        assertThat(e).hasMessageContaining("within 250 ms").hasMessageEndingWith("It is still running.");
    }

    @Test
    void everyOtherRefusalHasItsProblem() {
        fake.fail("cuCheckpointProcessLock", CudaResult.NOT_SUPPORTED);
        failure(Problem.NOT_SUPPORTED, () -> fake.process().suspend());
        fake.heal();
        fake.fail("cuCheckpointProcessCheckpoint", CudaResult.NOT_SUPPORTED);
        failure(Problem.NOT_SUPPORTED, () -> fake.process().suspend());
        fake.fail("cuCheckpointProcessCheckpoint", CudaResult.OUT_OF_MEMORY);
        failure(Problem.HOST_MEMORY, () -> fake.process().suspend());
        fake.fail("cuCheckpointProcessCheckpoint", CudaResult.ILLEGAL_STATE);
        failure(Problem.WRONG_STATE, () -> fake.process().suspend());
        fake.heal();
        fake.fail("cuCheckpointProcessGetState", CudaResult.NOT_INITIALIZED);
        failure(Problem.NOT_A_CUDA_PROCESS, () -> fake.process().suspend());
        fake.fail("cuCheckpointProcessGetState", CudaResult.OPERATING_SYSTEM);
        failure(Problem.NO_PERMISSION, () -> fake.process().suspend());
        fake.fail("cuCheckpointProcessGetState", 999);
        failure(Problem.DRIVER, () -> fake.process().suspend());
        fake.heal();
        assertThat(fake.process().state()).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void nothingIsTouchedWhenACheckFails() {
        fake.mpsClient = true;
        failure(Problem.MPS_CLIENT, () -> fake.process().suspend());
        fake.mpsClient = false;
        fake.held = Long.MAX_VALUE / 2;
        failure(Problem.HOST_MEMORY, () -> fake.process().suspend());
        fake.version = 12070;
        failure(Problem.DRIVER_TOO_OLD, fake::process);
        assertThat(fake.calls).doesNotContain("cuCheckpointProcessLock");
        assertThat(fake.state).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void hostMemoryCanBeLeftUnchecked() {
        fake.held = Long.MAX_VALUE / 2;
        assertThat(fake.process()
                        .suspend(Suspend.defaults().checkHostMemory(false))
                        .end())
                .isEqualTo(ProcessState.CHECKPOINTED);
    }

    @Test
    void tooLittleDeviceMemoryIsRefusedBeforeTheRestore() {
        GpuProcess process = fake.process();
        process.suspend();
        fake.free = fake.held;
        TorporException e = failure(Problem.DEVICE_MEMORY, process::resume);
        assertThat(e).hasMessageContaining("needs 1.0 MiB on " + FakeDriver.GPU + ", and 1.0 MiB are free");
        assertThat(fake.calls).doesNotContain("cuCheckpointProcessRestore");
        assertThat(process.resume(Resume.defaults().checkDeviceMemory(false)).end())
                .isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aRestoreInitialisesCudaWhereTheGpuIsNotPersistent() {
        fake.state = ProcessState.CHECKPOINTED;
        fake.process().resume();
        assertThat(fake.calls).doesNotContain("cuInit");
        fake.state = ProcessState.CHECKPOINTED;
        fake.persistence = 0;
        fake.process().resume();
        assertThat(fake.calls).containsOnlyOnce("cuInit");
    }

    @Test
    void aDeviceMapThatTheDriverRefusesIsNamed() {
        fake.state = ProcessState.CHECKPOINTED;
        fake.fail("cuCheckpointProcessRestore", CudaResult.INVALID_VALUE);
        DeviceMap map = DeviceMap.of(FakeDriver.GPU, FakeDriver.GPU);
        failure(
                Problem.DEVICE_MAP,
                () -> fake.process().resume(Resume.defaults().onto(map)));
        failure(Problem.RESTORE_FAILED, () -> fake.process().resume());
    }

    @Test
    void aDeviceMapNeedsADriverThatTakesPairs() {
        fake.state = ProcessState.CHECKPOINTED;
        fake.version = 12090;
        DeviceMap map = DeviceMap.of(FakeDriver.GPU, FakeDriver.GPU);
        assertThat(failure(
                        Problem.DRIVER_TOO_OLD,
                        () -> fake.process().resume(Resume.defaults().onto(map))))
                .hasMessageContaining("is for CUDA 12.9, and GPU pairs came with CUDA 13.0");
        assertThat(fake.process().resume().end()).isEqualTo(ProcessState.RUNNING);
    }

    @Property
    void aTransitionIsLegalInTheStatesFromWhichStepsLeadOnAndInNoOther(@ForAll("states") ProcessState state) {
        for (boolean down : new boolean[] {true, false}) {
            FakeDriver driver = new FakeDriver();
            driver.state = state;
            ProcessState goal = down ? ProcessState.CHECKPOINTED : ProcessState.RUNNING;
            ThrowingCallable call = () -> {
                Report report =
                        down ? driver.process().suspend() : driver.process().resume();
                assertThat(report.end()).isEqualTo(goal);
            };
            if (Step.path(state, goal).isEmpty()) {
                TorporException e = failure(Problem.WRONG_STATE, call);
                assertThat(e).hasMessageContaining(state.toString());
                assertThat(driver.state).isEqualTo(state);
            } else {
                assertThat(catchThrowableOfType(Throwable.class, call)).isNull();
            }
        }
    }

    /** Whatever fails, and whether before or after its work: a suspend ends suspended or where it began, and the report is true. */
    @Property
    void aSuspendEndsSuspendedOrWhereItBegan(
            @ForAll boolean locked, @ForAll("steps") Step step, @ForAll("results") int result, @ForAll boolean after) {
        FakeDriver driver = new FakeDriver();
        driver.state = locked ? ProcessState.LOCKED : ProcessState.RUNNING;
        ProcessState start = driver.state;
        if (after) {
            driver.failAfter(step.function(), result);
        } else {
            driver.fail(step.function(), result);
        }
        TorporException e = catchThrowableOfType(
                TorporException.class, () -> driver.process().suspend());
        boolean touched = Step.path(start, ProcessState.CHECKPOINTED).contains(step);
        boolean byAnother = result == CudaResult.ILLEGAL_STATE && after; // as the driver has refused it
        assertThat(e != null).isEqualTo(touched);
        assertThat(driver.state).isEqualTo(!touched ? ProcessState.CHECKPOINTED : byAnother ? step.to() : start);
        if (e != null) {
            assertThat(e.report().orElseThrow().end()).isEqualTo(driver.state);
            assertThat(e.report().orElseThrow().failure()).contains(e.getMessage());
        }
    }

    @Provide
    Arbitrary<ProcessState> states() {
        return Arbitraries.integers().between(0, 9).map(ProcessState::of);
    }

    @Provide
    Arbitrary<Step> steps() {
        return Arbitraries.of(Step.LOCK, Step.CHECKPOINT);
    }

    @Provide
    Arbitrary<Integer> results() {
        return Arbitraries.of(1, 2, 3, 201, 304, 401, 600, 801, 999, 12345);
    }

    @Test
    void aStepThatDoesNotReturnInTimeIsLeftBehind() {
        CountDownLatch released = new CountDownLatch(1);
        fake.hang("cuCheckpointProcessCheckpoint", released);
        TorporException e = failure(
                Problem.UNRESPONSIVE,
                () -> fake.process().suspend(Suspend.defaults().stepTimeout(Duration.ofMillis(50))));
        assertThat(e).hasMessageContaining("cuCheckpointProcessCheckpoint").hasMessageContaining("within 50.0 ms");
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.UNKNOWN);
        released.countDown();
    }

    @Test
    void futuresEndAsTheCallsDo() {
        AsyncGpuProcess process = fake.process().async();
        assertThat(process.suspend().join().end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(process.suspend())
                .failsWithin(Duration.ofSeconds(10))
                .withThrowableOfType(ExecutionException.class)
                .withCauseInstanceOf(TorporException.class);
        assertThat(process.resume().join().end()).isEqualTo(ProcessState.RUNNING);
        assertThat(process.lock(Duration.ofSeconds(1)).join().end()).isEqualTo(ProcessState.LOCKED);
        assertThat(process.checkpoint(Suspend.defaults()).join().end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(process.restore(Resume.defaults()).join().end()).isEqualTo(ProcessState.LOCKED);
        assertThat(process.unlock().join().end()).isEqualTo(ProcessState.RUNNING);
    }
}
