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

    private static Plan step(Step step, Suspend down, Resume up) {
        boolean undo = step == Step.LOCK || step == Step.CHECKPOINT;
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

    /** The steps from a state; none if no steps lead on from there. */
    List<Step> steps(ProcessState start) {
        if (only != null) {
            return only.from().equals(start) ? List.of(only) : List.of();
        }
        return Step.path(start, goal);
    }
}
