package dev.torpor.ffm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Machine;
import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.EarlyInitialization.Outcome;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class FfmEarlyTest {
    private final FfmProvider provider = new FfmProvider();

    private EarlyInitialization start(String library, int device) {
        return Objects.requireNonNull(
                provider.initializeEarly(library, device, Map.of()), "the native part is not loaded");
    }

    @Test
    void theContextIsThere() {
        CudaDriver cuda = Machine.cuda(provider);
        EarlyInitialization early = start(Machine.libcuda(), 0);
        Outcome outcome = early.await();
        assertThat(outcome.failedCall()).isEmpty();
        assertThat(outcome.result()).isZero();
        assertThat(outcome.context()).isNotZero();
        assertThat(outcome.initNanos()).isPositive();
        assertThat(outcome.retainNanos()).isPositive();
        assertThat(early.await()).isSameAs(outcome);
        long[] again = new long[1];
        assertThat(cuda.cuDevicePrimaryCtxRetain(again, outcome.device())).isZero();
        assertThat(again[0]).isEqualTo(outcome.context());
        assertThat(cuda.cuDevicePrimaryCtxRelease_v2(outcome.device())).isZero();
        assertThat(cuda.cuDevicePrimaryCtxRelease_v2(outcome.device())).isZero();
    }

    @Test
    void withoutADeviceItOnlyInitialises() {
        Machine.cuda(provider);
        Outcome outcome = start(Machine.libcuda(), -1).await();
        assertThat(outcome.failedCall()).isEmpty();
        assertThat(outcome.initNanos()).isPositive();
        assertThat(outcome.context()).isZero();
    }

    @Test
    void theFailedCallIsNamed() {
        Machine.cuda(provider);
        Outcome outcome = start(Machine.libcuda(), 99).await();
        assertThat(outcome.failedCall()).isEqualTo("cuDeviceGet");
        assertThat(outcome.result()).isEqualTo(101);
        assertThat(outcome.context()).isZero();
        assertThat(start("/nowhere/libcuda.so.1", 0).await().failedCall()).isEqualTo("dlopen");
        assertThat(start("libm.so.6", 0).await().failedCall()).isEqualTo("dlsym");
    }

    @Test
    void oneAtATime() {
        Machine.cuda(provider);
        EarlyInitialization first = start(Machine.libcuda(), -1);
        assertThat(provider.initializeEarly(Machine.libcuda(), -1, Map.of())).isNull();
        first.await();
        assertThat(start(Machine.libcuda(), -1).await().failedCall()).isEmpty();
    }
}
