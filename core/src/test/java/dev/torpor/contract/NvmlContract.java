package dev.torpor.contract;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.Nvml;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The management library. */
public abstract class NvmlContract {
    private static final int UNINITIALIZED = 1;
    private static final int INVALID_ARGUMENT = 2;
    private static final int ROOM = 256;

    private CudaDriver cuda;
    private Nvml nvml;
    private long device;

    protected abstract DriverProvider provider();

    @BeforeEach
    void open() {
        long[] handle = new long[1];
        cuda = Machine.cuda(provider());
        nvml = Machine.nvml(provider());
        ok(nvml.nvmlInit_v2());
        ok(nvml.nvmlDeviceGetHandleByIndex_v2(0, handle));
        device = handle[0];
    }

    @AfterEach
    void shutDown() {
        if (device != 0) {
            ok(nvml.nvmlShutdown());
        }
    }

    private static void ok(int result) {
        assertThat(result).isZero();
    }

    @Test
    void devicesAreCounted() {
        int[] count = new int[1];
        long[] handle = {-7};
        ok(nvml.nvmlDeviceGetCount_v2(count));
        assertThat(count[0]).isPositive();
        assertThat(nvml.nvmlDeviceGetHandleByIndex_v2(count[0], handle)).isEqualTo(INVALID_ARGUMENT);
        assertThat(handle[0]).isEqualTo(-7);
    }

    @Test
    void nothingWorksAfterTheLastShutdown() {
        int[] count = {-7};
        ok(nvml.nvmlShutdown());
        assertThat(nvml.nvmlDeviceGetCount_v2(count)).isEqualTo(UNINITIALIZED);
        assertThat(count[0]).isEqualTo(-7);
        ok(nvml.nvmlInit_v2());
    }

    @Test
    void errorsHaveWords() {
        assertThat(nvml.nvmlErrorString(Nvml.SUCCESS)).isEqualToIgnoringCase("success");
        assertThat(nvml.nvmlErrorString(INVALID_ARGUMENT)).containsIgnoringCase("invalid argument");
    }

    @Test
    void uuidIsTheDrivers() {
        byte[] binary = new byte[16];
        byte[] text = new byte[Nvml.UUID_BUFFER_SIZE];
        ok(cuda.cuDeviceGetUuid_v2(binary, 0));
        ok(nvml.nvmlDeviceGetUUID(device, text, text.length));
        String printed = new String(text, US_ASCII);
        assertThat(printed).startsWith("GPU-").contains("\0");
        assertThat(printed.replaceAll("GPU|-|\0", "")).isEqualTo(HexFormat.of().formatHex(binary));
        assertThat(nvml.nvmlDeviceGetUUID(device, text, 8)).isEqualTo(Nvml.ERROR_INSUFFICIENT_SIZE);
    }

    @Test
    void memoryIsTotalFreeAndUsed() {
        long[] memory = new long[3];
        ok(nvml.nvmlDeviceGetMemoryInfo(device, memory));
        assertThat(memory[0]).isPositive();
        assertThat(memory[1]).isPositive().isLessThanOrEqualTo(memory[0]);
        assertThat(memory[2]).isNotNegative().isLessThan(memory[0]);
    }

    @Test
    void persistenceModeIsOnOrOff() {
        int[] mode = {-7};
        ok(nvml.nvmlDeviceGetPersistenceMode(device, mode));
        assertThat(mode[0]).isBetween(0, 1);
    }

    @Test
    void aTargetIsListedUntilItIsCheckpointed() {
        try (Target target = Target.start("--memory", "64M")) {
            assumePidsAreOurs(target);
            assertThat(processes()).containsKey(target.pid());
            assertThat(memoryOf(target)).isGreaterThanOrEqualTo(target.bytes());
            ok(cuda.cuCheckpointProcessLock(target.pid(), 30_000));
            ok(cuda.cuCheckpointProcessCheckpoint(target.pid()));
            assertThat(processes()).doesNotContainKey(target.pid());
            ok(cuda.cuCheckpointProcessRestore(target.pid(), new byte[0]));
            ok(cuda.cuCheckpointProcessUnlock(target.pid()));
            assertThat(memoryOf(target)).isGreaterThanOrEqualTo(target.bytes());
            target.assertMemoryIntact();
        }
    }

    /** In a container with pids of its own, NVML may name others or none. */
    private void assumePidsAreOurs(Target target) {
        assumeTrue(
                Machine.simulated() || processes().containsKey(target.pid()),
                "needs NVML: it does not tell the pids of this container");
    }

    private long memoryOf(Target target) {
        return processes().getOrDefault(target.pid(), 0L);
    }

    private Map<Integer, Long> processes() {
        int[] count = {ROOM};
        int[] pids = new int[ROOM];
        long[] used = new long[ROOM];
        ok(nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, count, pids, used));
        Map<Integer, Long> processes = new HashMap<>();
        for (int i = 0; i < count[0]; i++) {
            processes.put(pids[i], used[i]);
        }
        return processes;
    }

    @Test
    void tooLittleRoomForTheProcessesIsAnswered() {
        try (Target target = Target.start("--memory", "16M")) {
            assumePidsAreOurs(target);
            int[] count = {0};
            int result = nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, count, new int[0], new long[0]);
            assertThat(result).isEqualTo(Nvml.ERROR_INSUFFICIENT_SIZE);
            assertThat(count[0]).isPositive();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aClientOfMpsIsListedApart() {
        Machine.assumeSimulator("a client of MPS");
        try (Target target = Target.start(Map.of("TORPOR_SIM_MPS", "1"), "--memory", "16M")) {
            int[] count = {1};
            int[] pids = new int[1];
            ok(nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(device, count, pids, new long[1]));
            assertThat(pids).containsExactly(target.pid());
            assertThat(processes()).doesNotContainKey(target.pid());
            target.assertMemoryIntact();
        }
    }
}
