package dev.torpor;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a transition is to do.
 *
 * @param operation its name
 * @param only the one step, or null for all that lead to the goal
 * @param goal the state to reach
 * @param undo whether a failure leads back to where it began
 */
record Plan(
        String operation,
        @Nullable Step only,
        ProcessState goal,
        boolean undo,
        Suspend down,
        Resume up,
        Optional<Duration> stepTimeout,
        Optional<ProgressListener> listener) {

    static Plan suspend(Suspend down) {
        return new Plan(
                "suspend",
                null,
                down.level().state(),
                true,
                down,
                Resume.defaults(),
                down.stepTimeout(),
                down.listener());
    }

    static Plan resume(Resume up) {
        return new Plan(
                "resume", null, ProcessState.RUNNING, false, Suspend.defaults(), up, up.stepTimeout(), up.listener());
    }

    static Plan park(Suspend down) {
        return step(Step.PARK, down, Resume.defaults());
    }

    static Plan unpark(Resume up) {
        return step(Step.UNPARK, Suspend.defaults(), up);
    }

    static Plan lock(Suspend down) {
        return step(Step.LOCK, down, Resume.defaults());
    }

    static Plan checkpoint(Suspend down) {
        return step(Step.CHECKPOINT, down, Resume.defaults());
    }

    static Plan restore(Resume up) {
        return step(Step.RESTORE, Suspend.defaults(), up);
    }

    static Plan unlock() {
        return step(Step.UNLOCK, Suspend.defaults(), Resume.defaults());
    }

    static Plan step(Step step, Suspend down, Resume up) {
        boolean undo = step == Step.PARK || step == Step.LOCK || step == Step.CHECKPOINT;
        return new Plan(
                step.toString(),
                step,
                step.to(),
                undo,
                down,
                up,
                undo ? down.stepTimeout() : up.stepTimeout(),
                undo ? down.listener() : up.listener());
    }

    /** Has whoever listens to this plan already, or else this one. */
    Plan heardBy(ProgressListener other) {
        return listener.isPresent()
                ? this
                : new Plan(operation, only, goal, undo, down, up, stepTimeout, Optional.of(other));
    }

    /** Whether the caller has asked for its end. */
    boolean isCancelled() {
        return down.isCancelled() || up.isCancelled();
    }

    /** Whether it cannot be done without the shim. */
    boolean needsShim() {
        return goal.equals(ProcessState.PARKED) || only == Step.UNPARK;
    }

    /** Whether it takes the whole way down to {@link Level#CHECKPOINT}, with the shim or without. */
    boolean suspends() {
        return undo && only == null && !needsShim();
    }

    /** Whether it cannot begin while a shim that is there does not tell its state. */
    boolean mustKnow(ProcessState driver) {
        return only == null ? undo || driver.equals(ProcessState.RUNNING) : only.byShim();
    }

    /** Whether the shim is asked at all. */
    boolean asksShim() {
        return down.parking();
    }

    /**
     * The steps from where a process stands; none if no steps lead on from there.
     *
     * @param parkable whether a shim is there to park it
     */
    List<Step> steps(Standing start, boolean parkable) {
        if (only != null) {
            ProcessState from = only.byShim() ? start.state() : start.driver();
            return only.from().equals(from) ? List.of(only) : List.of();
        }
        if (start.driver().equals(ProcessState.RUNNING) && start.isMoving()) {
            return List.of();
        }
        if (!undo) {
            return forward(start);
        }
        if (goal.equals(ProcessState.PARKED)) {
            return start.driver().equals(ProcessState.RUNNING) ? Step.path(start.shim(), goal) : List.of();
        }
        boolean park = parkable && start.state().equals(ProcessState.RUNNING);
        return start.path(new Standing(goal, park ? ProcessState.PARKED : start.shim()));
    }

    /** Where the shim did not tell whether it is parked, unparking is tried. */
    private static List<Step> forward(Standing start) {
        boolean unknown = start.shim().equals(ProcessState.UNKNOWN);
        return new Standing(start.driver(), unknown || start.isMoving() ? ProcessState.PARKED : start.shim())
                .path(new Standing(ProcessState.RUNNING, ProcessState.RUNNING));
    }

    /** What to do where no steps lead on. */
    String advice(Standing start) {
        ProcessState state = start.state();
        if (state.equals(ProcessState.FAILED)) {
            return "an earlier transition failed for good: end the process and start it again";
        }
        if (!state.isKnown()) {
            return "this version of Torpor does not know that state: leave the process to what brought it there";
        }
        if (state.equals(goal)) {
            return "there is nothing to do";
        }
        if (start.isMoving()) {
            return "wait until that is done";
        }
        if (needsShim() && state.equals(ProcessState.LOCKED)) {
            return "unlock it first";
        }
        return undo || state.equals(ProcessState.CHECKPOINTED) ? "resume it first" : "suspend it first";
    }
}
