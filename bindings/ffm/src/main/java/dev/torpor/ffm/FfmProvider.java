package dev.torpor.ffm;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.LibCuda;
import dev.torpor.driver.LibNvml;
import dev.torpor.driver.Nvml;
import org.jspecify.annotations.Nullable;

/** Calls through {@code java.lang.foreign}. */
public final class FfmProvider implements DriverProvider {
    @Override
    public String name() {
        return "ffm";
    }

    @Override
    public int priority() {
        return 20;
    }

    @Override
    public CudaDriver openCuda(String library) {
        return new LibCuda(FfmLibrary.open(library));
    }

    @Override
    public Nvml openNvml(String library) {
        return new LibNvml(FfmLibrary.open(library));
    }

    @Override
    public @Nullable EarlyInitialization initializeEarly(String library, int device) {
        return EarlyStart.start(library, device);
    }
}
