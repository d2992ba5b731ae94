package dev.torpor;

/** How deep a suspended process sleeps. */
public enum Level {
    /** Everything leaves the GPU, and waits in the host memory of the process. */
    CHECKPOINT(ProcessState.CHECKPOINTED);

    private final ProcessState state;

    Level(ProcessState state) {
        this.state = state;
    }

    /** The driver's state of a process that sleeps at this level. */
    public ProcessState state() {
        return state;
    }
}
