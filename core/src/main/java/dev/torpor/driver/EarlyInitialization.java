package dev.torpor.driver;

/** An initialisation that runs on a native thread. */
public interface EarlyInitialization {
    /** Waits for its end; the caller then owns the reference to the primary context that it took. */
    Outcome await();

    /**
     * What happened; durations are in nanoseconds, and 0 for steps that were not reached.
     *
     * @param failedCall the C function that failed, or empty
     * @param result its {@code CUresult}, 0 if none failed
     * @param context the retained primary context, 0 if none
     */
    record Outcome(
            String failedCall,
            int result,
            long loadNanos,
            long initNanos,
            long deviceGetNanos,
            long retainNanos,
            int device,
            long context) {}
}
