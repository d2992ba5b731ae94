package dev.torpor;

/**
 * Asks transitions that run to stop, from another thread. A step of the driver or of the shim cannot be interrupted: the step that is
 * under way is finished, then the transition is undone and fails with {@link Problem#CANCELLED}. A resume whose last step is done
 * has succeeded. One cancellation may be given to the options of many calls, and cannot be withdrawn. Thread-safe.
 */
public final class Cancellation {
    private volatile boolean requested;

    /** One that has not been requested. */
    public Cancellation() {}

    /** Asks for the end of all transitions that have this cancellation in their options; those that begin later fail at once. */
    public void request() {
        requested = true;
    }

    /** Whether {@link #request()} has been called. */
    public boolean isRequested() {
        return requested;
    }
}
