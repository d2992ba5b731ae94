package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuDevice;
import dev.torpor.Keeper;
import dev.torpor.Phase;
import dev.torpor.PrimaryContext;
import dev.torpor.Problem;
import dev.torpor.WarmUpReport;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Opening, devices, contexts, the warm-up and the keeper. */
public abstract class WarmUpContract extends TypedContract {
    private static final int NO_CONTEXT = 201;

    private boolean active() {
        int[] active = new int[1];
        int[] flags = new int[1];
        assertThat(cuda.driver().cuDevicePrimaryCtxGetState(0, flags, active)).isZero();
        return active[0] != 0;
    }

    @Test
    void itSaysWhatItOpened() {
        assertThat(cuda.provider()).isEqualTo(provider());
        assertThat(cuda.library()).isEqualTo(Machine.libcuda());
        assertThat(cuda.simulated()).isEqualTo(Machine.simulated());
        assertThat(cuda.driverVersion()).isGreaterThanOrEqualTo(12080);
        assertThat(cuda.persistent()).isPresent();
    }

    @Test
    void aDeviceIsDescribed() {
        GpuDevice device = cuda.devices().get(0);
        assertThat(device.ordinal()).isZero();
        assertThat(device.name()).isNotBlank().doesNotContain("\0");
        assertThat(device.name().contains("SIMULATED")).isEqualTo(Machine.simulated());
        assertThat(device.totalBytes()).isGreaterThan(1L << 30);
        assertThat(device.computeCapability()).isGreaterThanOrEqualTo(70);
        assertThat(cuda.freeBytes(device.uuid()).orElseThrow()).isBetween(1L, device.totalBytes() * 2);
    }

    @Test
    void aContextIsAResource() {
        cuda.initialize();
        assertThat(active()).isFalse();
        try (PrimaryContext context = cuda.context(0)) {
            assertThat(active()).isTrue();
            assertThat(context.freeBytes()).isPositive();
            context.synchronize();
            try (PrimaryContext second = cuda.context(0)) {
                assertThat(second.handle()).isEqualTo(context.handle());
            }
            assertThat(active()).isTrue();
        }
        assertThat(active()).isFalse();
    }

    @Test
    void aClosedContextIsRefusedAndClosedOnce() {
        PrimaryContext kept = cuda.context(0);
        PrimaryContext context = cuda.context(0);
        context.close();
        context.close();
        failure(Problem.CLOSED, context::makeCurrent);
        assertThat(active()).isTrue();
        kept.close();
        assertThat(active()).isFalse();
    }

    @Test
    void aDeviceThatIsNotThereIsRefused() {
        assertThat(failure(Problem.NO_SUCH_DEVICE, () -> cuda.context(99))).hasMessageContaining("cuDeviceGet(99)");
        assertThat(failure(Problem.NO_SUCH_DEVICE, () -> cuda.warmUp(-1)).cudaResult())
                .isEqualTo(101);
    }

    @Test
    void aWarmUpTimesItsPhasesAndLetsGo() {
        cuda.initialize();
        cuda.driver().cuCtxSetCurrent(0);
        WarmUpReport report = cuda.warmUp(0);
        assertThat(report.phases())
                .extracting(Phase::name)
                .containsExactly("library load", "link", "cuInit", "device get", "context retain", "first allocation");
        Duration sum = report.phases().stream().map(Phase::duration).reduce(Duration.ZERO, Duration::plus);
        assertThat(report.total()).isGreaterThanOrEqualTo(sum);
        assertThat(report.simulated()).isEqualTo(Machine.simulated());
        assertThat(active()).isFalse();
        assertThat(cuda.driver().cuMemGetInfo_v2(new long[1], new long[1])).isEqualTo(NO_CONTEXT);
    }

    @Test
    void aWarmUpLeavesTheCallersContextCurrent() {
        long[] current = new long[1];
        try (PrimaryContext context = cuda.context(0)) {
            context.makeCurrent();
            cuda.warmUp(0);
            assertThat(cuda.driver().cuCtxGetCurrent(current)).isZero();
            assertThat(current).containsExactly(context.handle());
        }
    }

    @Test
    void aKeeperHoldsTheGpuUntilItIsClosed() {
        try (Keeper keeper = cuda.keep(0)) {
            assertThat(active()).isTrue();
            assertThat(keeper.report().total()).isPositive();
        }
        assertThat(active()).isFalse();
    }

    @Test
    void anEarlyInitialisationGivesTheSameContext() {
        CudaOptions early = options().initializeEarly(0);
        try (Cuda opened = Cuda.open(early);
                PrimaryContext context = opened.context(0)) {
            assertThat(context.freeBytes()).isPositive();
        }
        assertThat(active()).isFalse();
        try (Cuda opened = Cuda.open(early)) {
            assertThat(opened.warmUp(0).phases())
                    .extracting(Phase::name)
                    .contains("cuInit", "context retain", "first allocation");
        }
        assertThat(active()).isFalse();
    }

    @Test
    void anEarlyContextThatNobodyTakesIsGivenBack() {
        try (Cuda opened = Cuda.open(options().initializeEarly(0))) {
            assertThat(opened.devices()).isNotEmpty();
        }
        assertThat(active()).isFalse();
    }

    @Test
    void anEarlyInitialisationThatFailsFailsWhereItIsNeeded() {
        try (Cuda opened = Cuda.open(options().initializeEarly(99))) {
            failure(Problem.NO_SUCH_DEVICE, () -> opened.context(99));
            try (PrimaryContext context = opened.context(0)) {
                assertThat(context.freeBytes()).isPositive();
            }
        }
    }

    @Test
    void aClosedCudaIsRefused() {
        Cuda closed = Cuda.open(options());
        closed.close();
        closed.close();
        failure(Problem.CLOSED, closed::driverVersion);
        failure(Problem.CLOSED, closed::devices);
        failure(Problem.CLOSED, () -> closed.process(1));
        assertThat(cuda.devices()).isNotEmpty();
    }

    @Test
    void aLibraryThatIsNotThereIsNamedWithTheReason() {
        assertThat(failure(Problem.NO_DRIVER, () -> Cuda.open(options().library("/nowhere/libcuda.so.1"))))
                .hasMessageContaining("there is no file /nowhere/libcuda.so.1")
                .hasMessageContaining("check its path");
        assertThat(failure(Problem.NO_DRIVER, () -> Cuda.open(options().library("libno-such-driver.so.1"))))
                .hasMessageContaining("libno-such-driver.so.1");
        assertThat(failure(Problem.NO_DRIVER, () -> Cuda.open(options().provider("jni"))))
                .hasMessageContaining("'jni'");
    }

    @Test
    void withoutNvmlNothingElseIsMissing() {
        try (Cuda without = Cuda.open(options().nvml("/nowhere/libnvidia-ml.so.1"));
                Target target = Target.start("--memory", SMALL)) {
            assertThat(without.persistent()).isEmpty();
            assertThat(without.process(target.pid()).suspend().deviceBytes()).isEmpty();
            without.process(target.pid()).resume();
            target.assertMemoryIntact();
        }
    }
}
