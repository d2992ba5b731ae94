package dev.torpor;

import dev.torpor.driver.CudaDriver;
import java.util.function.Supplier;

/** cuCheckpointProcessGetState, as a question to ask; a class, since the first lambda of a JVM costs milliseconds. */
record StateQuery(CudaDriver driver, int pid) implements Supplier<DriverCalls.Answer> {
    static final String FUNCTION = "cuCheckpointProcessGetState";

    @Override
    public DriverCalls.Answer get() {
        int[] state = {ProcessState.UNKNOWN.code()};
        int result = driver.cuCheckpointProcessGetState(pid, state);
        return new DriverCalls.Answer(result, state[0]);
    }
}
