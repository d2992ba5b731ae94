package dev.torpor.contract;

import java.time.Duration;
import java.util.Map;
import java.util.StringJoiner;

/**
 * Faults for a process that uses the simulator, as its environment. A function may carry the calls that are meant, counted
 * from 1: {@code cuCheckpointProcessRestore#1}, {@code #2-5}, {@code #2-}. A call that checkpoints a process is counted both
 * in the process that makes it and in the one it is about; give the faults to the one that is to suffer them.
 */
public final class SimulatorFaults {
    private final StringJoiner entries = new StringJoiner(";");

    /** The call does nothing and answers with this result. */
    public SimulatorFaults fail(String function, int result) {
        return add(function, Integer.toString(result));
    }

    /** The call does its work and answers with this result all the same. */
    public SimulatorFaults failAfterwards(String function, int result) {
        return add(function, "after," + result);
    }

    public SimulatorFaults delay(String function, Duration duration) {
        return add(function, "delay:" + duration.toMillis());
    }

    /** The call does not return. */
    public SimulatorFaults hang(String function) {
        return add(function, "hang");
    }

    /** The process is killed in the call. */
    public SimulatorFaults die(String function) {
        return add(function, "die");
    }

    /** The process is killed at the end of the call. */
    public SimulatorFaults dieAfterwards(String function) {
        return add(function, "after,die");
    }

    /** From this call on the process says that it is in this state. */
    public SimulatorFaults state(String function, int state) {
        return add(function, "state:" + state);
    }

    /** Of cuCheckpointProcessCheckpoint and cuCheckpointProcessRestore. */
    public SimulatorFaults slow(String function, int megabytesPerSecond) {
        return add(function, "slow:" + megabytesPerSecond);
    }

    private SimulatorFaults add(String function, String actions) {
        entries.add(function + "=" + actions);
        return this;
    }

    public Map<String, String> environment() {
        return Map.of("TORPOR_SIM_FAULTS", entries.toString());
    }
}
