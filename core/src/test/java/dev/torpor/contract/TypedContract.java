package dev.torpor.contract;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.Failures;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;

/** What the contracts of the typed API have in common: the driver, opened through one provider. */
abstract class TypedContract {
    static final String SMALL = "16M";

    Cuda cuda;

    /** The name of the provider under test. */
    protected abstract String provider();

    CudaOptions options() {
        return CudaOptions.defaults()
                .provider(provider())
                .library(Machine.libcuda())
                .nvml(Machine.libnvml());
    }

    @BeforeEach
    void open() {
        cuda = opened();
    }

    private Cuda opened() {
        try {
            return Cuda.open(options());
        } catch (TorporException e) {
            if (Machine.simulated()) {
                throw e;
            }
            return Assumptions.abort("this machine has no NVIDIA driver: " + e.getMessage());
        }
    }

    @AfterEach
    void close() {
        if (cuda != null) {
            cuda.close();
        }
    }

    static TorporException failure(Problem problem, ThrowingCallable call) {
        return Failures.failure(problem, call);
    }

    long freeBytes() {
        return cuda.freeBytes(cuda.devices().get(0).uuid()).orElseThrow();
    }
}
