package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.DeviceMap;
import dev.torpor.GpuDevice;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.GpuUuid;
import dev.torpor.Level;
import dev.torpor.Phase;
import dev.torpor.Problem;
import dev.torpor.ProcessInfo;
import dev.torpor.ProcessState;
import dev.torpor.Progress;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Step;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** Suspend and resume, and what is refused before anything is touched. Every test ends by looking at the target's memory. */
public abstract class SuspendContract extends TypedContract {
    private static final long CHECK_MARGIN = 64L << 20;

    @Test
    void whatWasSuspendedResumesWithItsMemory() {
        try (Target target = Target.start("--memory", "256M")) {
            GpuProcess process = cuda.process(target.pid());
            long freeBefore = freeBytes();
            Report down = process.suspend(Suspend.to(Level.CHECKPOINT).lockTimeout(Duration.ofSeconds(5)));
            assertThat(down.steps()).extracting(Phase::name).containsExactly("lock", "checkpoint");
            assertThat(down.start()).isEqualTo(ProcessState.RUNNING);
            assertThat(down.end()).isEqualTo(ProcessState.CHECKPOINTED);
            assertThat(down.deviceBytes().orElseThrow()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(down.hostBytesGained()).isGreaterThan(target.bytes() * 9 / 10);
            assertThat(down.simulated()).isEqualTo(Machine.simulated());
            assertThat(freeBytes() - freeBefore).isGreaterThanOrEqualTo(target.bytes());
            assertThat(process.deviceMemory()).isEmpty();

            Report up = process.resume();
            assertThat(up.steps()).extracting(Phase::name).containsExactly("restore", "unlock");
            assertThat(up.end()).isEqualTo(ProcessState.RUNNING);
            assertThat(up.hostBytesGained()).isLessThan(-target.bytes() / 2);
            assertThat(up.deviceBytes().orElseThrow()).isGreaterThanOrEqualTo(target.bytes());
            target.assertMemoryIntact();
        }
    }

    @Test
    void itCanBeDoneAgainAndAgain() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            for (int round = 0; round < 3; round++) {
                process.suspend();
                process.resume();
                target.tell("fill " + round);
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void theSingleStepsLeadThroughTheSameStates() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            process.lock(Duration.ofSeconds(5));
            assertThat(process.state()).isEqualTo(ProcessState.LOCKED);
            process.checkpoint();
            assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
            process.restore();
            assertThat(process.state(Duration.ofSeconds(5))).isEqualTo(ProcessState.LOCKED);
            process.unlock();
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aStepInTheWrongStateIsRefusedAndChangesNothing() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            failure(Problem.WRONG_STATE, process::checkpoint);
            failure(Problem.WRONG_STATE, process::restore);
            failure(Problem.WRONG_STATE, process::unlock);
            assertThat(failure(Problem.WRONG_STATE, process::resume)).hasMessageContaining("is running");
            process.suspend();
            failure(Problem.WRONG_STATE, () -> process.lock(Duration.ofSeconds(1)));
            failure(Problem.WRONG_STATE, process::checkpoint);
            failure(Problem.WRONG_STATE, process::unlock);
            assertThat(failure(Problem.WRONG_STATE, process::suspend)).hasMessageContaining("is checkpointed");
            process.restore();
            failure(Problem.WRONG_STATE, process::restore);
            failure(Problem.WRONG_STATE, () -> process.lock(Duration.ofSeconds(1)));
            process.unlock();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aLockThatTimesOutLeavesTheProcessRunning() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            target.tell("spin 2000");
            TorporException e = failure(
                    Problem.LOCK_TIMEOUT,
                    () -> process.suspend(Suspend.to(Level.CHECKPOINT).lockTimeout(Duration.ofMillis(100))));
            assertThat(e)
                    .hasMessageContaining("cuCheckpointProcessLock(pid " + target.pid() + ")")
                    .hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.tell("sync");
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aLockedProcessWaitsAndGoesOn() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.lock(Duration.ofSeconds(5));
            target.send("alloc 4M");
            assertThat(target.hear(Duration.ofMillis(300))).isNull();
            process.unlock();
            assertThat(target.hear(Duration.ofSeconds(10))).isEqualTo("OK");
            target.assertMemoryIntact();
        }
    }

    @Test
    void aProcessWithoutAContextIsSuspendedToo() {
        try (Target target = Target.start("--no-context")) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.suspend().end()).isEqualTo(ProcessState.CHECKPOINTED);
            assertThat(process.resume().end()).isEqualTo(ProcessState.RUNNING);
            target.tell("ping");
        }
    }

    @Test
    void anotherHandleResumesWhatOneSuspended() {
        try (Target target = Target.start("--memory", SMALL)) {
            cuda.process(target.pid()).suspend();
            try (Cuda other = Cuda.open(options())) {
                other.process(target.pid()).resume();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void gpusCanBeNamed() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuUuid gpu = cuda.devices().get(0).uuid();
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            process.resume(Resume.defaults().onto(DeviceMap.of(gpu, gpu)));
            target.assertMemoryIntact();
        }
    }

    @Test
    void aProcessMovesToAnotherGpuAndBack() {
        List<GpuDevice> devices = cuda.devices();
        Assumptions.assumeTrue(devices.size() > 1, "needs two GPUs");
        GpuUuid first = devices.get(0).uuid();
        GpuUuid second = devices.get(1).uuid();
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            process.resume(Resume.defaults().onto(DeviceMap.of(first, second)));
            assertThat(process.deviceMemory()).containsOnlyKeys(second);
            target.assertMemoryIntact();
            process.suspend();
            process.resume(Resume.defaults().onto(DeviceMap.of(second, first)));
            assertThat(process.deviceMemory()).containsOnlyKeys(first);
            target.assertMemoryIntact();
        }
    }

    @Test
    void theGpuThatAProcessMovesToMustHaveRoom() {
        List<GpuDevice> devices = cuda.devices();
        Assumptions.assumeTrue(devices.size() > 1, "needs two GPUs");
        GpuUuid first = devices.get(0).uuid();
        GpuUuid second = devices.get(1).uuid();
        try (Target target = Target.start("--memory", "512M", "--device", "1");
                Target occupant = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            occupant.tell("alloc " + (freeBytes() - CHECK_MARGIN));
            // Naming where the first GPU's contents go decides where the second's must: onto the full one.
            Resume swapped = Resume.defaults().onto(DeviceMap.of(first, second));
            assertThat(failure(Problem.DEVICE_MEMORY, () -> process.resume(swapped)))
                    .hasMessageContaining("on " + first);
            process.resume();
            occupant.assertMemoryIntact();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aMapOntoAGpuThatIsNotHereIsRefusedBeforeTheRestore() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuUuid gpu = cuda.devices().get(0).uuid();
            GpuUuid nowhere = GpuUuid.parse("GPU-00000000-0000-4000-8000-00000000dead");
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            failure(Problem.DEVICE_MAP, () -> process.resume(Resume.defaults().onto(DeviceMap.of(gpu, nowhere))));
            assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFutureTellsHowFarItIs() {
        try (Target target = Target.start("--memory", "256M")) {
            List<Progress> told = new CopyOnWriteArrayList<>();
            GpuProcess process = cuda.process(target.pid());
            Report down = process.async(told::add).suspend().join();
            assertThat(down.end()).isEqualTo(ProcessState.CHECKPOINTED);
            Progress last = told.get(told.size() - 1);
            assertThat(last.step()).isEqualTo(Step.CHECKPOINT);
            assertThat(last.bytesTotal()).isEqualTo(down.deviceBytes());
            assertThat(last.bytesMoved().orElseThrow()).isGreaterThan(target.bytes() * 9 / 10);
            process.async().resume().join();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aGroupSleepsAndWakesTogether() {
        try (Target one = Target.start("--memory", SMALL);
                Target two = Target.start("--memory", SMALL)) {
            GpuGroup group = GpuGroup.of(List.of(cuda.process(one.pid()), cuda.process(two.pid())));
            assertThat(group.suspend(Suspend.to(Level.CHECKPOINT)))
                    .extracting(Report::end)
                    .containsOnly(ProcessState.CHECKPOINTED);
            assertThat(group.resume(Resume.defaults())).extracting(Report::end).containsOnly(ProcessState.RUNNING);
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void theRestoreThreadIsOneOfTheProcess() {
        try (Target target = Target.start("--memory", SMALL)) {
            long tid = cuda.process(target.pid()).restoreThreadId();
            assertThat(Path.of("/proc", "" + target.pid(), "task", "" + tid)).isDirectory();
            target.assertMemoryIntact();
        }
    }

    @Test
    void tooLittleDeviceMemoryIsRefusedBeforeTheRestore() {
        try (Target target = Target.start("--memory", "512M")) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            try (Target occupant = Target.start("--memory", SMALL)) {
                occupant.tell("alloc " + (freeBytes() - CHECK_MARGIN));
                assertThat(failure(Problem.DEVICE_MEMORY, process::resume))
                        .hasMessageContaining("pid " + occupant.pid())
                        .hasMessageContaining("still checkpointed");
                failure(Problem.DEVICE_MEMORY, () -> cuda.process(target.pid()).resume());
                assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
                occupant.tell("free");
                occupant.assertMemoryIntact();
            }
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void tooLittleHostMemoryIsRefusedBeforeTheLock() throws Exception {
        long available = availableBytes();
        long more = available + available / 2; // others may give some back meanwhile
        try (Target target = Target.start("--memory", SMALL)) {
            if (freeBytes() < more + CHECK_MARGIN) {
                Machine.assumeSimulator("this host has more memory than the GPU");
            }
            target.tell("alloc " + Math.min(more, freeBytes() - CHECK_MARGIN));
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(Problem.HOST_MEMORY, process::suspend)).hasMessageContaining("was not touched");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.tell("free");
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    private static long availableBytes() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
            if (line.startsWith("MemAvailable:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
            }
        }
        throw new AssertionError("no MemAvailable");
    }

    @Test
    void whatIsNoCudaProcessIsRefused() throws Exception {
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        try {
            assertThat(failure(
                            Problem.NOT_A_CUDA_PROCESS,
                            () -> cuda.process(sleeper.pid()).suspend()))
                    .hasMessageContaining("sleep 60");
            assertThat(sleeper.isAlive()).isTrue();
        } finally {
            sleeper.destroy();
            sleeper.waitFor();
        }
    }

    @Test
    void whatHasEndedIsRefused() throws Exception {
        GpuProcess process;
        try (Target target = Target.start("--memory", SMALL)) {
            process = cuda.process(target.pid());
        }
        failure(Problem.NO_SUCH_PROCESS, process::suspend);
        failure(Problem.NO_SUCH_PROCESS, process::state);
        failure(Problem.NO_SUCH_PROCESS, () -> cuda.process(process.pid()));
    }

    @Test
    void theScanFindsRunningAndSuspendedProcesses() {
        try (Target running = Target.start("--memory", SMALL);
                Target suspended = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(suspended.pid());
            process.suspend();
            ProcessInfo one = found(running);
            assertThat(one.state()).isEqualTo(ProcessState.RUNNING);
            assertThat(one.deviceBytes()).isGreaterThanOrEqualTo(running.bytes());
            assertThat(one.command()).contains("torpor-target --memory");
            ProcessInfo two = found(suspended);
            assertThat(two.state()).isEqualTo(ProcessState.CHECKPOINTED);
            assertThat(two.deviceBytes()).isZero();
            process.resume();
            running.assertMemoryIntact();
            suspended.assertMemoryIntact();
        }
    }

    private ProcessInfo found(Target target) {
        return cuda.processes().stream()
                .filter(info -> info.pid() == target.pid())
                .findFirst()
                .orElseThrow();
    }
}
