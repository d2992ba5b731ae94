package dev.torpor;

import dev.torpor.driver.CudaDriver;
import java.util.function.IntSupplier;

/** cuCheckpointProcessGetState, as a call that can be bounded; a class, since the first lambda of a JVM costs milliseconds. */
record StateQuery(CudaDriver driver, int pid, int[] state) implements IntSupplier {
    @Override
    public int getAsInt() {
        return driver.cuCheckpointProcessGetState(pid, state);
    }
}
