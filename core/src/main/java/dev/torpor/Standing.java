package dev.torpor;

import java.util.ArrayList;
import java.util.List;

/**
 * Where a process stands: with the driver, and with the shim.
 *
 * @param driver as the driver says
 * @param shim running, parked, or on its way; running also for a process without a shim, unknown if it did not tell
 */
record Standing(ProcessState driver, ProcessState shim) {
    static final Standing UNKNOWN = new Standing(ProcessState.UNKNOWN, ProcessState.UNKNOWN);

    /** In one word. */
    ProcessState state() {
        return driver.equals(ProcessState.RUNNING) && !shim.equals(ProcessState.UNKNOWN) ? shim : driver;
    }

    boolean parked() {
        return shim.equals(ProcessState.PARKED);
    }

    /** Whether the shim is at it. */
    boolean isMoving() {
        return shim.equals(ProcessState.PARKING) || shim.equals(ProcessState.UNPARKING);
    }

    /** For a message, which begins with a blank: where it stands now, after it stood somewhere else or there. */
    String sentence(Standing before) {
        if (state().equals(ProcessState.UNKNOWN)) {
            return " Its state is unknown.";
        }
        String asWell = parked() && !state().equals(ProcessState.PARKED) ? ", and parked" : "";
        return equals(before) ? " It is still " + state() + asWell + "." : " It is " + state() + " now" + asWell + ".";
    }

    /** Whether the step can be done from here, as far as is known. */
    boolean isWhere(Step step) {
        if (!step.byShim()) {
            return driver.equals(step.from()) || driver.equals(ProcessState.UNKNOWN);
        }
        return (driver.equals(ProcessState.RUNNING) || driver.equals(ProcessState.UNKNOWN))
                && (shim.equals(step.from()) || shim.equals(ProcessState.UNKNOWN));
    }

    Standing after(Step step) {
        return step.byShim() ? new Standing(driver, step.to()) : new Standing(step.to(), shim);
    }

    /**
     * The steps from here; none if nothing leads there. Only a process that runs can be parked and unparked, so parking comes first
     * and unparking last.
     */
    List<Step> path(Standing goal) {
        List<Step> steps = new ArrayList<>(Step.path(driver, goal.driver));
        if (steps.isEmpty() && !driver.equals(goal.driver)) {
            return List.of();
        }
        List<Step> own = Step.path(shim, goal.shim);
        if (own.contains(Step.PARK)) {
            steps.addAll(0, own);
            return driver.equals(ProcessState.RUNNING) ? steps : List.of();
        }
        steps.addAll(own);
        return own.isEmpty() || goal.driver.equals(ProcessState.RUNNING) ? steps : List.of();
    }
}
