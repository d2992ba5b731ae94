package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import dev.torpor.driver.CudaResult;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GpuGroupTest {
    private static final Suspend DOWN = Suspend.defaults();
    private static final Resume UP = Resume.defaults();

    private final List<Process> sleepers = new ArrayList<>();
    private final List<FakeDriver> drivers = new ArrayList<>();
    private GpuGroup group;

    @BeforeEach
    void begin() throws IOException {
        List<GpuProcess> processes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Process sleeper = new ProcessBuilder("sleep", "600").start();
            sleepers.add(sleeper);
            drivers.add(new FakeDriver(sleeper.pid()));
            processes.add(drivers.get(i).process());
        }
        group = GpuGroup.of(processes);
    }

    @AfterEach
    void end() {
        sleepers.forEach(Process::destroyForcibly);
    }

    private void assertStates(ProcessState... states) {
        assertThat(drivers).extracting(driver -> driver.state).containsExactly(states);
    }

    @Test
    void allSleepAndWakeTogether() {
        assertThat(group.suspend(DOWN))
                .extracting(Report::pid)
                .containsExactlyElementsOf(sleepers.stream().map(Process::pid).toList());
        assertStates(ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED);
        assertThat(group.resume(UP)).extracting(Report::end).containsOnly(ProcessState.RUNNING);
        assertThat(group.processes()).hasSize(3);
        assertThat(group.toString()).contains("process " + sleepers.get(0).pid());
    }

    @Test
    void noStepBeginsForAnyBeforeTheOneBeforeHasEndedForAll() throws InterruptedException {
        CountDownLatch released = new CountDownLatch(1);
        drivers.get(1).hang("cuCheckpointProcessLock", released);
        Thread suspending = new Thread(() -> group.suspend(DOWN), "suspending");
        suspending.start();
        await().untilAsserted(() -> assertStates(ProcessState.LOCKED, ProcessState.RUNNING, ProcessState.LOCKED));
        suspending.join(200);
        assertStates(ProcessState.LOCKED, ProcessState.RUNNING, ProcessState.LOCKED);
        released.countDown();
        suspending.join();
        assertStates(ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED);
    }

    @Test
    void whereOneFailsToSleepAllGoBack() {
        drivers.get(1).fail("cuCheckpointProcessCheckpoint", 999);
        drivers.get(2).fail("cuCheckpointProcessCheckpoint", CudaResult.OUT_OF_MEMORY);
        TorporException e = failure(Problem.DRIVER, () -> group.suspend(DOWN));
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.RUNNING);
        assertThat(e.report().orElseThrow().pid()).isEqualTo(sleepers.get(1).pid());
        assertThat(e)
                .hasMessageContaining(
                        "cuCheckpointProcessCheckpoint(pid " + sleepers.get(1).pid() + ")")
                .hasMessageEndingWith("Process " + sleepers.get(0).pid() + " of its group: It is still running.");
        assertThat(e.getSuppressed()).hasSize(1);
    }

    @Test
    void whatCannotBeSuspendedKeepsAllFromBeingTouched() {
        drivers.get(2).mpsClient = true;
        failure(Problem.MPS_CLIENT, () -> group.suspend(DOWN));
        assertThat(drivers.get(0).calls).doesNotContain("cuCheckpointProcessLock");
        drivers.get(2).state = ProcessState.CHECKPOINTED;
        failure(Problem.WRONG_STATE, () -> group.suspend(DOWN));
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.CHECKPOINTED);
    }

    @Test
    void whereOneFailsToWakeTheOthersGoOn() {
        group.suspend(DOWN);
        drivers.get(0).fail("cuCheckpointProcessRestore", 999);
        TorporException e = failure(Problem.RESTORE_FAILED, () -> group.resume(UP));
        assertStates(ProcessState.CHECKPOINTED, ProcessState.RUNNING, ProcessState.RUNNING);
        assertThat(e)
                .hasMessageContaining("It is still checkpointed.")
                .hasMessageEndingWith("Process " + sleepers.get(2).pid() + " of its group: It is running now.");
    }

    @Test
    void memoryMustDoForAllTogether() {
        for (FakeDriver driver : drivers) {
            driver.held = 100L << 20;
        }
        group.suspend(DOWN);
        drivers.get(2).free = (364L << 20) - 1;
        assertThat(failure(Problem.DEVICE_MEMORY, () -> group.resume(UP)))
                .hasMessageContaining("Process " + sleepers.get(2).pid() + " needs 100 MiB")
                .hasMessageContaining("beside 200 MiB for others of the group");
        assertStates(ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED);
        drivers.get(2).free = 364L << 20;
        group.resume(UP);
        drivers.get(0).held = 1L << 60;
        failure(Problem.HOST_MEMORY, () -> group.suspend(DOWN));
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.RUNNING);
    }

    @Test
    void eachOfThemIsToldOfAndOneThatCannotBeginIsLeftOut() {
        drivers.get(1).state = ProcessState.CHECKPOINTED;
        List<GroupResult> results = group.suspendEach(process -> DOWN);
        assertStates(ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED, ProcessState.CHECKPOINTED);
        assertThat(results).extracting(GroupResult::process).containsExactlyElementsOf(group.processes());
        assertThat(results).extracting(result -> result.report().isPresent()).containsExactly(true, false, true);
        assertThat(results.get(1).failure().orElseThrow().problem()).isEqualTo(Problem.WRONG_STATE);
        sleepers.get(0).destroyForcibly().onExit().join();
        results = group.resumeEach(process -> UP);
        assertThat(results.get(0).failure().orElseThrow().problem()).isEqualTo(Problem.NO_SUCH_PROCESS);
        assertStates(ProcessState.CHECKPOINTED, ProcessState.RUNNING, ProcessState.RUNNING);
    }

    @Test
    void whereAStepFailsForOneEachIsToldAsFailed() {
        drivers.get(1).fail("cuCheckpointProcessCheckpoint", 999);
        List<GroupResult> results = group.suspendEach(process -> DOWN);
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.RUNNING);
        assertThat(results).allMatch(result -> result.report().isEmpty());
        assertThat(results.get(0).failure().orElseThrow())
                .hasMessage("Process " + sleepers.get(0).pid() + " was not changed, since process "
                        + sleepers.get(1).pid() + " of its group failed. It is still running.");
        assertThat(results.get(1).failure().orElseThrow()).hasMessageContaining("CUDA_ERROR_999");
    }

    @Test
    void whatOneIsRefusedIsLeftToTheOthers() {
        for (FakeDriver driver : drivers) {
            driver.held = 100L << 20;
        }
        group.suspend(DOWN);
        drivers.forEach(driver -> driver.free = 300L << 20);
        List<GroupResult> results = group.resumeEach(process -> UP);
        assertThat(results).extracting(result -> result.report().isPresent()).containsExactly(true, true, false);
        assertThat(results.get(2).failure().orElseThrow().problem()).isEqualTo(Problem.DEVICE_MEMORY);
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.CHECKPOINTED);
    }

    @Test
    void oneStepForEachOfThem() {
        drivers.get(1).fail("cuCheckpointProcessLock", 999);
        assertThat(group.stepEach(Step.LOCK, process -> DOWN, process -> UP))
                .allMatch(result -> result.failure().isPresent());
        assertStates(ProcessState.RUNNING, ProcessState.RUNNING, ProcessState.RUNNING);
        drivers.get(1).heal();
        group.stepEach(Step.LOCK, process -> DOWN, process -> UP);
        assertStates(ProcessState.LOCKED, ProcessState.LOCKED, ProcessState.LOCKED);
        drivers.get(1).fail("cuCheckpointProcessUnlock", 999);
        assertThat(group.stepEach(Step.UNLOCK, process -> DOWN, process -> UP))
                .extracting(result -> result.report().isPresent())
                .containsExactly(true, false, true);
        assertStates(ProcessState.RUNNING, ProcessState.LOCKED, ProcessState.RUNNING);
    }

    @Test
    void aGroupIsOfDifferentProcesses() {
        GpuProcess one = drivers.get(0).process();
        assertThatIllegalArgumentException().isThrownBy(() -> GpuGroup.of(List.of()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> GpuGroup.of(List.of(one, drivers.get(0).process())));
    }
}
