package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.DriverProvider;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.ToIntBiFunction;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The checkpoint functions, called on another process. */
public abstract class CheckpointContract {
    private static final int RUNNING = 0;
    private static final int LOCKED = 1;
    private static final int CHECKPOINTED = 2;
    private static final int NO_PROCESS = 99_999_999;
    private static final byte[] NO_PAIRS = {};

    private enum Transition {
        LOCK((cuda, pid) -> cuda.cuCheckpointProcessLock(pid, 30_000)),
        CHECKPOINT((cuda, pid) -> cuda.cuCheckpointProcessCheckpoint(pid)),
        RESTORE((cuda, pid) -> cuda.cuCheckpointProcessRestore(pid, NO_PAIRS)),
        UNLOCK((cuda, pid) -> cuda.cuCheckpointProcessUnlock(pid));

        private final ToIntBiFunction<CudaDriver, Integer> call;

        Transition(ToIntBiFunction<CudaDriver, Integer> call) {
            this.call = call;
        }

        int of(CudaDriver cuda, int pid) {
            return call.applyAsInt(cuda, pid);
        }
    }

    private CudaDriver cuda;

    protected abstract DriverProvider provider();

    /** The threads from which the driver is called at the same time. */
    protected ExecutorService threads() {
        return Executors.newFixedThreadPool(16);
    }

    @BeforeEach
    void open() {
        cuda = Machine.cuda(provider());
    }

    private static void ok(int result) {
        assertThat(result).isZero();
    }

    private int state(int pid) {
        int[] state = {-7};
        ok(cuda.cuCheckpointProcessGetState(pid, state));
        return state[0];
    }

    private void perform(Target target, Transition... transitions) {
        for (Transition transition : transitions) {
            assertThat(transition.of(cuda, target.pid())).as("%s", transition).isZero();
        }
    }

    private void assertOnlyLegal(Target target, Transition... legal) {
        Set<Transition> illegal = EnumSet.complementOf(EnumSet.copyOf(List.of(legal)));
        int before = state(target.pid());
        for (Transition transition : illegal) {
            assertThat(transition.of(cuda, target.pid()))
                    .as("%s in state %s", transition, before)
                    .isEqualTo(CudaResult.ILLEGAL_STATE);
        }
        assertThat(state(target.pid())).isEqualTo(before);
    }

    @Test
    void onlyTheNextTransitionIsLegal() {
        try (Target target = Target.start("--memory", "16M")) {
            assertOnlyLegal(target, Transition.LOCK);
            perform(target, Transition.LOCK);
            assertThat(state(target.pid())).isEqualTo(LOCKED);
            assertOnlyLegal(target, Transition.CHECKPOINT, Transition.UNLOCK);
            perform(target, Transition.CHECKPOINT);
            assertThat(state(target.pid())).isEqualTo(CHECKPOINTED);
            assertOnlyLegal(target, Transition.RESTORE);
            perform(target, Transition.RESTORE);
            assertThat(state(target.pid())).isEqualTo(LOCKED);
            perform(target, Transition.UNLOCK);
            assertThat(state(target.pid())).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void memorySurvivesAgainAndAgain() {
        try (Target target = Target.start("--memory", "40M", "--chunk", "3M")) {
            for (int round = 0; round < 2; round++) {
                target.tell("fill " + round);
                perform(target, Transition.values());
                target.assertMemoryIntact();
            }
        }
    }

    @Test
    void aLockedProcessWaits() {
        try (Target target = Target.start("--memory", "16M")) {
            perform(target, Transition.LOCK);
            target.send("check");
            assertThat(target.hear(Duration.ofMillis(200))).isNull();
            perform(target, Transition.UNLOCK);
            assertThat(target.hear(Duration.ofSeconds(60))).startsWith("OK");
            target.assertMemoryIntact();
        }
    }

    @Test
    void anUnknownPidIsAnswered() {
        int[] out = {-7};
        assertThat(cuda.cuCheckpointProcessGetState(NO_PROCESS, out)).isEqualTo(CudaResult.OPERATING_SYSTEM);
        assertThat(cuda.cuCheckpointProcessGetRestoreThreadId(NO_PROCESS, out)).isEqualTo(CudaResult.OPERATING_SYSTEM);
        assertThat(cuda.cuCheckpointProcessLock(NO_PROCESS, 10)).isEqualTo(CudaResult.OPERATING_SYSTEM);
        assertThat(out[0]).isEqualTo(-7);
    }

    @Test
    void aProcessThatNeverInitialisedCudaIsAnswered() throws Exception {
        int[] out = {-7};
        Process process = new ProcessBuilder("sleep", "60").start();
        try {
            int pid = (int) process.pid();
            assertThat(cuda.cuCheckpointProcessGetState(pid, out)).isEqualTo(CudaResult.NOT_INITIALIZED);
            assertThat(cuda.cuCheckpointProcessGetRestoreThreadId(pid, out)).isEqualTo(CudaResult.NOT_INITIALIZED);
            assertThat(out[0]).isEqualTo(-7);
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    void lockThatTimesOutLeavesTheProcessRunning() {
        try (Target target = Target.start("--memory", "16M")) {
            target.tell("spin 3000");
            assertThat(cuda.cuCheckpointProcessLock(target.pid(), 100)).isEqualTo(CudaResult.NOT_READY);
            assertThat(state(target.pid())).isEqualTo(RUNNING);
            target.tell("sync");
            perform(target, Transition.LOCK, Transition.UNLOCK);
            target.assertMemoryIntact();
        }
    }

    @Test
    void restoreThreadBelongsToTheProcess() {
        int[] tid = {-7};
        try (Target target = Target.start("--memory", "16M")) {
            ok(cuda.cuCheckpointProcessGetRestoreThreadId(target.pid(), tid));
            assertThat(tid[0]).isNotEqualTo(target.pid());
            assertThat(Files.isDirectory(Path.of("/proc/" + target.pid() + "/task/" + tid[0])))
                    .isTrue();
            target.assertMemoryIntact();
        }
    }

    /** Each device, restored onto itself. */
    private byte[] identity() {
        int[] count = new int[1];
        ok(cuda.cuDeviceGetCount(count));
        byte[] pairs = new byte[32 * count[0]];
        for (int i = 0; i < count[0]; i++) {
            byte[] uuid = new byte[16];
            ok(cuda.cuDeviceGetUuid_v2(uuid, i));
            System.arraycopy(uuid, 0, pairs, 32 * i, 16);
            System.arraycopy(uuid, 0, pairs, 32 * i + 16, 16);
        }
        return pairs;
    }

    @Test
    void wrongPairsCanBeCorrected() {
        byte[] wrong = identity();
        wrong[20] ^= 0x55;
        try (Target target = Target.start("--memory", "16M")) {
            perform(target, Transition.LOCK, Transition.CHECKPOINT);
            assertThat(cuda.cuCheckpointProcessRestore(target.pid(), wrong)).isEqualTo(CudaResult.INVALID_VALUE);
            assertThat(state(target.pid())).isEqualTo(CHECKPOINTED);
            ok(cuda.cuCheckpointProcessRestore(target.pid(), identity()));
            perform(target, Transition.UNLOCK);
            target.assertMemoryIntact();
        }
    }

    @Test
    void halfAPairIsRefusedBeforeTheCall() {
        try (Target target = Target.start("--memory", "16M")) {
            perform(target, Transition.LOCK, Transition.CHECKPOINT);
            assertThatThrownBy(() -> cuda.cuCheckpointProcessRestore(target.pid(), new byte[16]))
                    .isInstanceOf(IllegalArgumentException.class);
            perform(target, Transition.RESTORE, Transition.UNLOCK);
            target.assertMemoryIntact();
        }
    }

    @Test
    void anUnknownStateIsReturnedAsItIs() {
        Machine.assumeSimulator("a driver that knows more states");
        try (Target target = Target.start(Map.of("TORPOR_SIM_STATE", "17"), "--memory", "16M")) {
            assertThat(state(target.pid())).isEqualTo(17);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aClientOfMpsCannotBeLocked() {
        Machine.assumeSimulator("a client of MPS");
        try (Target target = Target.start(Map.of("TORPOR_SIM_MPS", "1"), "--memory", "16M")) {
            assertThat(Transition.LOCK.of(cuda, target.pid())).isEqualTo(CudaResult.NOT_SUPPORTED);
            assertOnlyLegal(target, Transition.LOCK);
            assertThat(state(target.pid())).isEqualTo(RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFailedCallIsAnsweredAsItFailed() {
        Machine.assumeSimulator("faults");
        SimulatorFaults faults =
                new SimulatorFaults().fail("cuCheckpointProcessCheckpoint#1", CudaResult.OUT_OF_MEMORY);
        try (Target target = Target.start(faults.environment(), "--memory", "16M")) {
            perform(target, Transition.LOCK);
            assertThat(Transition.CHECKPOINT.of(cuda, target.pid())).isEqualTo(CudaResult.OUT_OF_MEMORY);
            assertThat(state(target.pid())).isEqualTo(LOCKED);
            perform(target, Transition.CHECKPOINT, Transition.RESTORE, Transition.UNLOCK);
            target.assertMemoryIntact();
        }
    }

    /** Out values of calls that run at the same time are not mixed up. */
    @Test
    void threadsDoNotDisturbEachOther() throws Exception {
        try (Target running = Target.start("--memory", "16M");
                Target locked = Target.start("--memory", "16M")) {
            perform(locked, Transition.LOCK);
            List<Callable<Integer>> calls = new ArrayList<>();
            for (int i = 0; i < 400; i++) {
                boolean even = i % 2 == 0;
                calls.add(() -> even ? state(running.pid()) : state(locked.pid()));
            }
            List<Integer> states = all(calls);
            for (int i = 0; i < states.size(); i++) {
                assertThat(states.get(i)).isEqualTo(i % 2 == 0 ? RUNNING : LOCKED);
            }
            perform(locked, Transition.UNLOCK);
            running.assertMemoryIntact();
            locked.assertMemoryIntact();
        }
    }

    private List<Integer> all(List<Callable<Integer>> calls) throws InterruptedException, ExecutionException {
        ExecutorService threads = threads();
        try {
            List<Integer> results = new ArrayList<>();
            for (Future<Integer> future : threads.invokeAll(calls)) {
                results.add(future.get());
            }
            return results;
        } finally {
            threads.shutdownNow();
        }
    }
}
