package dev.torpor.jna;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.LibCuda;
import dev.torpor.driver.LibNvml;
import dev.torpor.driver.Nvml;

/** Calls through JNA. */
public final class JnaProvider implements DriverProvider {
    @Override
    public String name() {
        return "jna";
    }

    @Override
    public int priority() {
        return 10;
    }

    @Override
    public CudaDriver openCuda(String library) {
        return new LibCuda(JnaLibrary.open(library));
    }

    @Override
    public Nvml openNvml(String library) {
        return new LibNvml(JnaLibrary.open(library));
    }
}
