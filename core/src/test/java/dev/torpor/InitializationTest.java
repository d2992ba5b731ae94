package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.driver.CudaResult;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where cuInit fails, the message says what is wrong with the host. */
class InitializationTest {
    @ParameterizedTest
    @CsvSource({
        CudaResult.NO_DEVICE + ", NO_SUCH_DEVICE, CUDA_VISIBLE_DEVICES",
        CudaResult.SYSTEM_DRIVER_MISMATCH + ", DRIVER, of different releases: restart the host",
        CudaResult.COMPAT_NOT_SUPPORTED_ON_DEVICE + ", DRIVER, forward compatibility package",
        "999, DRIVER, /dev/nvidia",
    })
    void theMessageSaysWhatIsWrongWithTheHost(int result, Problem problem, String advice) {
        FakeDriver fake = new FakeDriver();
        fake.fail("cuInit", result);
        try (Cuda cuda = fake.cuda()) {
            TorporException failure = Failures.failure(problem, cuda::initialize);
            assertThat(failure.cudaResult()).isEqualTo(result);
            assertThat(failure).hasMessageStartingWith("cuInit failed: ").hasMessageContaining(advice);
        }
    }
}
