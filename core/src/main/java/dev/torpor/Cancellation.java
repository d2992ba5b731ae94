package dev.torpor;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Asks transitions that run to stop, from another thread. A step of the driver or of the shim cannot be interrupted: the step that is
 * under way is finished, then the transition is undone and fails with {@link Problem#CANCELLED}. A resume whose last step is done
 * has succeeded. One cancellation may be given to the options of many calls, and cannot be withdrawn. Thread-safe.
 */
public final class Cancellation {
    private final List<Runnable> actions = new ArrayList<>();
    private volatile boolean requested;

    /** One that has not been requested. */
    public Cancellation() {}

    /** Asks for the end of all transitions that have this cancellation in their options; those that begin later fail at once. */
    public void request() {
        List<Runnable> due;
        synchronized (actions) {
            requested = true;
            due = List.copyOf(actions);
            actions.clear();
        }
        due.forEach(Runnable::run);
    }

    /** Whether {@link #request()} has been called. */
    public boolean isRequested() {
        return requested;
    }

    /** Has an action run once by {@link #request()}, on its thread; at once, on this thread, if that has been called already. */
    public void onRequest(Runnable action) {
        Objects.requireNonNull(action);
        synchronized (actions) {
            if (!requested) {
                actions.add(action);
                return;
            }
        }
        action.run();
    }

    /** Forgets an action of {@link #onRequest}. */
    public void forget(Runnable action) {
        synchronized (actions) {
            actions.remove(action);
        }
    }
}
