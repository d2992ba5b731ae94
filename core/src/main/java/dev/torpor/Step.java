package dev.torpor;

import static dev.torpor.ProcessState.CHECKPOINTED;
import static dev.torpor.ProcessState.LOCKED;
import static dev.torpor.ProcessState.PARKED;
import static dev.torpor.ProcessState.RUNNING;

import java.util.List;
import java.util.Locale;

/**
 * The transitions of the driver and of the shim: what each is called, where it starts and where it ends. Every rule about order
 * follows from these. Parking is a matter of a process that runs, and the driver's steps leave it as it is.
 */
public enum Step {
    /** {@code park}: moves the application's memory to the host; context, kernels and graphs stay on the GPU. */
    PARK(RUNNING, PARKED, "park"),
    /** cuCheckpointProcessLock: waits for submitted work, then holds calls back. */
    LOCK(RUNNING, LOCKED, "cuCheckpointProcessLock"),
    /** cuCheckpointProcessCheckpoint: moves device memory to the host and releases the GPU. */
    CHECKPOINT(LOCKED, CHECKPOINTED, "cuCheckpointProcessCheckpoint"),
    /** cuCheckpointProcessRestore: takes the GPU again and moves the memory back, to the same addresses. */
    RESTORE(CHECKPOINTED, LOCKED, "cuCheckpointProcessRestore"),
    /** cuCheckpointProcessUnlock: lets calls through again. */
    UNLOCK(LOCKED, RUNNING, "cuCheckpointProcessUnlock"),
    /** {@code unpark}: takes device memory again and moves the application's memory back, to the same addresses. */
    UNPARK(PARKED, RUNNING, "unpark");

    private final ProcessState from;
    private final ProcessState to;
    private final String function;

    Step(ProcessState from, ProcessState to, String function) {
        this.from = from;
        this.to = to;
        this.function = function;
    }

    /** The only state in which the step is legal; for a step of the driver, a parked process counts as running. */
    public ProcessState from() {
        return from;
    }

    /** The state after it. */
    public ProcessState to() {
        return to;
    }

    /** The C function of the driver, or the command of the shim. */
    public String function() {
        return function;
    }

    /** Whether it is the shim's: see {@code docs/parking.md}; else it is the driver's. */
    public boolean byShim() {
        return this == PARK || this == UNPARK;
    }

    /** Whether it moves memory. */
    boolean copies() {
        return this != LOCK && this != UNLOCK;
    }

    /** The step that undoes this one. */
    public Step inverse() {
        for (Step step : values()) {
            if (step.from.equals(to) && step.to.equals(from) && step.byShim() == byShim()) {
                return step;
            }
        }
        throw new AssertionError(this);
    }

    /**
     * The steps that lead from one state to another, all by the driver or all by the shim; none if nothing leads there, or they are
     * the same.
     */
    public static List<Step> path(ProcessState from, ProcessState to) {
        if (from.equals(to)) {
            return List.of();
        }
        for (Step first : values()) {
            if (first.from.equals(from)) {
                if (first.to.equals(to)) {
                    return List.of(first);
                }
                for (Step second : values()) {
                    if (second.from.equals(first.to) && second.to.equals(to) && second.byShim() == first.byShim()) {
                        return List.of(first, second);
                    }
                }
            }
        }
        return List.of();
    }

    /** The step in lower case, as reports print it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
