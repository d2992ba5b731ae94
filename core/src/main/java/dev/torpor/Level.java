package dev.torpor;

/** How deep a suspended process sleeps. */
public enum Level {
    /**
     * The application's memory leaves the GPU, and waits in host memory; context, kernels and graphs stay there. It takes the shim
     * ({@link Shim#preload(ProcessBuilder)}), and is what {@code docs/parking.md} describes.
     */
    PARK(ProcessState.PARKED),
    /**
     * Everything leaves the GPU, and waits in the host memory of the process. Where the process carries the shim, it is parked first, so
     * that little is left for the driver to copy; else the driver does it all.
     */
    CHECKPOINT(ProcessState.CHECKPOINTED);

    private final ProcessState state;

    Level(ProcessState state) {
        this.state = state;
    }

    /** The state of a process that sleeps at this level. */
    public ProcessState state() {
        return state;
    }
}
