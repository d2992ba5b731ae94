package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import org.jspecify.annotations.Nullable;

/**
 * What came of a step.
 *
 * @param result of the driver
 * @param refusal of the shim, or what kept it from answering
 */
record Outcome(int result, @Nullable Failure refusal) {
    static final Outcome DONE = new Outcome(CudaResult.SUCCESS, null);

    boolean failed() {
        return result != CudaResult.SUCCESS || refusal != null;
    }

    /** Of one that failed. */
    String words(CudaDriver driver, Step step) {
        return refusal == null
                ? step.function() + " answered " + Calls.words(driver, result) + "."
                : refusal.sentence();
    }
}
