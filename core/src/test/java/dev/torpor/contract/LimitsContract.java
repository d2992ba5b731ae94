package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.Nvml;
import java.nio.file.Path;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a binding does where a library, or a function in it, is missing. */
public abstract class LimitsContract {
    /** A library that is no driver. */
    private static final String NO_DRIVER = "libm.so.6";

    protected abstract DriverProvider provider();

    static Stream<AnyCall> cudaCalls() {
        return AnyCall.of(CudaDriver.class);
    }

    static Stream<AnyCall> nvmlCalls() {
        return AnyCall.of(Nvml.class).filter(call -> !call.name().equals("nvmlErrorString"));
    }

    @ParameterizedTest
    @MethodSource("cudaCalls")
    void aFunctionThatTheDriverLacksIsNotSupported(AnyCall call) {
        assertThat(call.on(provider().openCuda(NO_DRIVER))).isEqualTo(CudaResult.NOT_SUPPORTED);
        assertThat(call.arguments())
                .usingRecursiveComparison()
                .isEqualTo(call.untouched().toArray());
    }

    @ParameterizedTest
    @MethodSource("nvmlCalls")
    void aFunctionThatNvmlLacksIsNotFound(AnyCall call) {
        assertThat(call.on(provider().openNvml(NO_DRIVER))).isEqualTo(Nvml.ERROR_FUNCTION_NOT_FOUND);
        assertThat(call.arguments())
                .usingRecursiveComparison()
                .isEqualTo(call.untouched().toArray());
    }

    @Test
    void withoutWordsAnErrorIsANumber() {
        assertThat(provider().openNvml(NO_DRIVER).nvmlErrorString(7)).contains("7");
    }

    @Test
    void aMissingLibraryIsNamedWithTheReason() {
        assertThatThrownBy(() -> provider().openCuda("/nowhere/libcuda.so.1"))
                .isInstanceOf(UnsatisfiedLinkError.class)
                .hasMessageContaining("/nowhere/libcuda.so.1")
                .hasMessageContaining("No such file or directory");
        assertThatThrownBy(() -> provider().openNvml("libnowhere.so.1"))
                .isInstanceOf(UnsatisfiedLinkError.class)
                .hasMessageContaining("libnowhere.so.1");
    }

    @Test
    void aRelativePathIsRelativeToTheWorkingDirectory() {
        Path library = Path.of(System.getProperty("user.dir"))
                .relativize(Path.of(Machine.libcuda()).toAbsolutePath());
        Machine.assumeSimulator("a library at a known path");
        assertThat(provider().openCuda(library.toString()).cuDriverGetVersion(new int[1]))
                .isZero();
    }

    @Test
    void theProviderIsFound() {
        assertThat(ServiceLoader.load(DriverProvider.class))
                .extracting(DriverProvider::name)
                .containsExactly(provider().name());
    }
}
