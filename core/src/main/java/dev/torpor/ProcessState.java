package dev.torpor;

/**
 * The state of a process: a {@code CUprocessState}, or where the driver says that it runs, the shim's word that it is parked.
 * Newer drivers have states that this library does not name; those are values too, and print as their number.
 */
public final class ProcessState {
    /** CU_PROCESS_STATE_RUNNING. */
    public static final ProcessState RUNNING = new ProcessState(0);
    /** CU_PROCESS_STATE_LOCKED: calls that submit work wait. */
    public static final ProcessState LOCKED = new ProcessState(1);
    /** CU_PROCESS_STATE_CHECKPOINTED: the process holds no GPU resources. */
    public static final ProcessState CHECKPOINTED = new ProcessState(2);
    /** CU_PROCESS_STATE_FAILED: an uncorrectable error during a transition. */
    public static final ProcessState FAILED = new ProcessState(3);
    /** CU_PROCESS_STATE_CHECKPOINTING, which newer drivers report. */
    public static final ProcessState CHECKPOINTING = new ProcessState(4);
    /** CU_PROCESS_STATE_RESTORING, which newer drivers report. */
    public static final ProcessState RESTORING = new ProcessState(5);
    /**
     * Runs as far as the driver is concerned, while the shim keeps its memory on the host and holds back the calls that need it. What is
     * {@link #LOCKED} or {@link #CHECKPOINTED} may be parked too.
     */
    public static final ProcessState PARKED = new ProcessState(-2);
    /** The shim is parking it; or a shim of an earlier version is busy with a command, and answers no question until that is done. */
    public static final ProcessState PARKING = new ProcessState(-3);
    /** The shim is giving it its memory back. */
    public static final ProcessState UNPARKING = new ProcessState(-4);
    /** The driver did not tell. */
    public static final ProcessState UNKNOWN = new ProcessState(-1);

    private final int code;

    private ProcessState(int code) {
        this.code = code;
    }

    /** The state that the driver means by a number. */
    public static ProcessState of(int code) {
        return new ProcessState(code);
    }

    /** The driver's number; -1 for {@link #UNKNOWN}, and a smaller one for a state of the shim. */
    public int code() {
        return code;
    }

    /** Whether the library knows what the state means. */
    public boolean isKnown() {
        return code >= -4 && code <= 5 && code != -1;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ProcessState state && code == state.code;
    }

    @Override
    public int hashCode() {
        return code;
    }

    /** The state in lower case, as the command line prints it: {@code running}, or {@code state 17}. */
    @Override
    public String toString() {
        return switch (code) {
            case -4 -> "unparking";
            case -3 -> "parking";
            case -2 -> "parked";
            case -1 -> "unknown";
            case 0 -> "running";
            case 1 -> "locked";
            case 2 -> "checkpointed";
            case 3 -> "failed";
            case 4 -> "checkpointing";
            case 5 -> "restoring";
            default -> "state " + code;
        };
    }
}
