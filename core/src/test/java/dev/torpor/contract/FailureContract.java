package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.DeviceMap;
import dev.torpor.GpuProcess;
import dev.torpor.GpuUuid;
import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Failures injected into the driver. After each the process is in the state that the error names, and once it runs again its
 * memory is intact.
 */
public abstract class FailureContract extends TypedContract {
    private static final String LOCK = "cuCheckpointProcessLock";
    private static final String CHECKPOINT = "cuCheckpointProcessCheckpoint";
    private static final String RESTORE = "cuCheckpointProcessRestore";
    private static final String UNLOCK = "cuCheckpointProcessUnlock";
    private static final String STATE = "cuCheckpointProcessGetState";
    private static final ProcessState RUNNING = ProcessState.RUNNING;
    private static final ProcessState LOCKED = ProcessState.LOCKED;
    private static final ProcessState CHECKPOINTED = ProcessState.CHECKPOINTED;

    @TempDir
    private Path directory;

    @BeforeEach
    void needsFaults() {
        Machine.assumeSimulator("a real driver does not fail on demand");
    }

    /** One failure: what fails, what is tried, what comes of it. */
    record Case(String name, SimulatorFaults faults, Consumer<GpuProcess> act, Problem problem, ProcessState end) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Case suspend(String function, int result, Problem problem) {
        return new Case(
                "suspend, " + function + " answers " + result,
                new SimulatorFaults().fail(function + "#1", result),
                GpuProcess::suspend,
                problem,
                RUNNING);
    }

    private static Case suspendAfterwards(String function, int result, Problem problem) {
        return new Case(
                "suspend, " + function + " is done and answers " + result,
                new SimulatorFaults().failAfterwards(function + "#1", result),
                GpuProcess::suspend,
                problem,
                RUNNING);
    }

    private static Case resume(String function, int result, Problem problem, ProcessState end) {
        return new Case(
                "resume, " + function + " answers " + result,
                new SimulatorFaults().fail(function + "#1", result),
                process -> {
                    process.suspend();
                    process.resume();
                },
                problem,
                end);
    }

    private static Case resumeAfterwards(String function, int result, Problem problem, ProcessState end) {
        return new Case(
                "resume, " + function + " is done and answers " + result,
                new SimulatorFaults().failAfterwards(function + "#1", result),
                process -> {
                    process.suspend();
                    process.resume();
                },
                problem,
                end);
    }

    static Stream<Case> failures() {
        return Stream.of(
                suspend(LOCK, 1, Problem.DRIVER),
                suspend(LOCK, 3, Problem.DRIVER),
                suspend(LOCK, 201, Problem.DRIVER),
                suspend(LOCK, 304, Problem.DRIVER),
                suspend(LOCK, 401, Problem.WRONG_STATE),
                suspend(LOCK, 600, Problem.LOCK_TIMEOUT),
                suspend(LOCK, 801, Problem.NOT_SUPPORTED),
                suspend(LOCK, 999, Problem.DRIVER),
                suspendAfterwards(LOCK, 600, Problem.LOCK_TIMEOUT),
                suspendAfterwards(LOCK, 999, Problem.DRIVER),
                suspend(CHECKPOINT, 1, Problem.DRIVER),
                suspend(CHECKPOINT, 2, Problem.HOST_MEMORY),
                suspend(CHECKPOINT, 201, Problem.DRIVER),
                suspend(CHECKPOINT, 304, Problem.DRIVER),
                suspend(CHECKPOINT, 401, Problem.WRONG_STATE),
                suspend(CHECKPOINT, 700, Problem.DRIVER),
                suspend(CHECKPOINT, 801, Problem.NOT_SUPPORTED),
                suspend(CHECKPOINT, 12345, Problem.DRIVER),
                suspendAfterwards(CHECKPOINT, 2, Problem.HOST_MEMORY),
                suspendAfterwards(CHECKPOINT, 999, Problem.DRIVER),
                resume(RESTORE, 1, Problem.RESTORE_FAILED, CHECKPOINTED),
                resume(RESTORE, 2, Problem.RESTORE_FAILED, CHECKPOINTED),
                resume(RESTORE, 201, Problem.RESTORE_FAILED, CHECKPOINTED),
                resume(RESTORE, 304, Problem.RESTORE_FAILED, CHECKPOINTED),
                resume(RESTORE, 401, Problem.WRONG_STATE, CHECKPOINTED),
                resume(RESTORE, 801, Problem.RESTORE_FAILED, CHECKPOINTED),
                resumeAfterwards(RESTORE, 999, Problem.RESTORE_FAILED, LOCKED),
                resume(UNLOCK, 304, Problem.DRIVER, LOCKED),
                resume(UNLOCK, 401, Problem.WRONG_STATE, LOCKED),
                resume(UNLOCK, 999, Problem.DRIVER, LOCKED),
                resumeAfterwards(UNLOCK, 999, Problem.DRIVER, RUNNING),
                new Case(
                        "suspend, checkpoint fails, and so does the unlock that should undo the lock",
                        new SimulatorFaults().fail(CHECKPOINT + "#1", 999).fail(UNLOCK + "#1", 999),
                        GpuProcess::suspend,
                        Problem.DRIVER,
                        LOCKED),
                new Case(
                        "suspend, checkpoint is done but fails, and so does the restore that should undo it",
                        new SimulatorFaults()
                                .failAfterwards(CHECKPOINT + "#1", 999)
                                .fail(RESTORE + "#1", 999),
                        GpuProcess::suspend,
                        Problem.DRIVER,
                        CHECKPOINTED),
                new Case(
                        "a single checkpoint fails",
                        new SimulatorFaults().fail(CHECKPOINT + "#1", 999),
                        process -> {
                            process.lock(Duration.ofSeconds(5));
                            process.checkpoint();
                        },
                        Problem.DRIVER,
                        LOCKED),
                new Case(
                        "resume onto a map that the driver refuses",
                        new SimulatorFaults().fail(RESTORE + "#1", 1),
                        process -> {
                            GpuUuid gpu =
                                    process.deviceMemory().keySet().iterator().next();
                            process.suspend();
                            process.resume(Resume.defaults().onto(DeviceMap.of(gpu, gpu)));
                        },
                        Problem.DEVICE_MAP,
                        CHECKPOINTED),
                new Case(
                        "no permission to ask for the state",
                        new SimulatorFaults().fail(STATE + "#1", 304),
                        GpuProcess::suspend,
                        Problem.NO_PERMISSION,
                        RUNNING),
                new Case(
                        "the state cannot be told",
                        new SimulatorFaults().fail(STATE + "#1", 999),
                        GpuProcess::suspend,
                        Problem.DRIVER,
                        RUNNING));
    }

    @ParameterizedTest
    @MethodSource("failures")
    void aFailureLeavesTheProcessAsItSaysAndItsMemoryIntact(Case failure) {
        try (Target target = Target.start(failure.faults.environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            TorporException e = failure(failure.problem, () -> failure.act.accept(process));
            assertThat(process.state()).isEqualTo(failure.end);
            e.report().ifPresent(report -> {
                assertThat(report.end()).isEqualTo(failure.end);
                assertThat(e).hasMessageMatching("(?s).* It is (still |)" + failure.end + "( now|)\\.");
            });
            if (!failure.end.equals(RUNNING)) {
                process.resume();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFailureIsUndoneAlsoWhenTheStateAfterItCannotBeTold() {
        SimulatorFaults faults = new SimulatorFaults().fail(CHECKPOINT, 999).fail(STATE + "#2", 999);
        try (Target target = Target.start(faults.environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            TorporException e = failure(Problem.DRIVER, process::suspend);
            assertThat(e.report().orElseThrow().undone()).hasSize(1);
            assertThat(process.state()).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void anUndoingMayTakeLongerThanAStep() {
        SimulatorFaults faults =
                new SimulatorFaults().fail(CHECKPOINT, 999).delay(UNLOCK + "#1", Duration.ofSeconds(2));
        try (Target target = Target.start(faults.environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(
                            Problem.DRIVER,
                            () -> process.suspend(Suspend.to(Level.CHECKPOINT).stepTimeout(Duration.ofMillis(300)))))
                    .hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aSuspendIsNoFailureWhenOnlyTheStateAfterItCannotBeTold() {
        try (Target target =
                Target.start(new SimulatorFaults().fail(STATE + "#2", 999).environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.suspend().end()).isEqualTo(ProcessState.UNKNOWN);
            assertThat(process.state()).isEqualTo(CHECKPOINTED);
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aStateThatTheLibraryDoesNotKnowIsReportedAndNothingIsTouched() {
        try (Target target = Target.start(new SimulatorFaults().state(STATE, 42).environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.state()).isEqualTo(ProcessState.of(42));
            failure(Problem.WRONG_STATE, process::suspend);
            assertThat(failure(Problem.WRONG_STATE, process::resume)).hasMessageContaining("state 42");
            target.assertMemoryIntact();
        }
    }

    @Test
    void aProcessThatTheDriverCallsFailedIsLeftAlone() {
        try (Target target = Target.start(Map.of("TORPOR_SIM_STATE", "3"), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(Problem.WRONG_STATE, process::suspend)).hasMessageContaining("end the process");
            assertThat(failure(Problem.WRONG_STATE, process::resume)).hasMessageContaining("end the process");
            target.assertMemoryIntact();
        }
    }

    @Test
    void anMpsClientIsRefusedWithItsDaemonsDirectory() throws Exception {
        Files.createFile(directory.resolve("control"));
        Map<String, String> environment = new HashMap<>();
        environment.put("TORPOR_SIM_MPS", "1");
        environment.put("CUDA_MPS_PIPE_DIRECTORY", directory.toString());
        try (Target target = Target.start(environment, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(Problem.MPS_CLIENT, process::suspend)).hasMessageContaining(directory.toString());
            assertThat(process.state()).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aRestoreThatRanOutOfMemoryIsFinalAndSaysSo() {
        try (Target target = Target.start("--memory", "512M")) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            try (Target occupant = Target.start("--memory", SMALL)) {
                occupant.tell("alloc " + (freeBytes() - (256L << 20)));
                Resume unchecked = Resume.defaults().checkDeviceMemory(false);
                assertThat(failure(Problem.RESTORE_FAILED, () -> process.resume(unchecked)))
                        .hasMessageContaining("ran out of memory")
                        .hasMessageEndingWith("It is still checkpointed.");
                occupant.tell("free");
                occupant.assertMemoryIntact();
            }
            failure(Problem.RESTORE_FAILED, process::resume);
            assertThat(process.state()).isEqualTo(CHECKPOINTED);
        }
    }

    @Test
    void aProcessThatDiesDuringItsCheckpointIsSaidToHaveEnded() {
        try (Target target = Target.start(new SimulatorFaults().die(CHECKPOINT).environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            TorporException e = failure(Problem.NO_SUCH_PROCESS, process::suspend);
            assertThat(e).hasMessageContaining("The process has ended");
            assertThat(e.report().map(Report::end)).contains(ProcessState.UNKNOWN);
        }
    }

    @Test
    void aStepThatEndsLateIsWaitedForAndUndone() {
        try (Target target = Target.start(
                new SimulatorFaults()
                        .delay(CHECKPOINT + "#1", Duration.ofSeconds(2))
                        .environment(),
                "--memory",
                SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(
                            Problem.UNRESPONSIVE,
                            () -> process.suspend(Suspend.to(Level.CHECKPOINT).stepTimeout(Duration.ofMillis(200)))))
                    .hasMessageContaining("cuCheckpointProcessCheckpoint")
                    .hasMessageContaining("did not return within 200 ms")
                    .hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(RUNNING);
            target.assertMemoryIntact();
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aStateThatIsNotToldInTimeIsGivenUp() {
        try (Target target = Target.start(
                new SimulatorFaults().delay(STATE + "#1", Duration.ofSeconds(2)).environment(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            failure(Problem.UNRESPONSIVE, () -> process.state(Duration.ofMillis(100)));
            assertThat(process.state()).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }
}
