package dev.torpor;

/**
 * Keeps a GPU initialised for as long as it is open, by holding a primary context, so that other processes initialise CUDA
 * about ten times faster: as an MPS server does, but without making anybody its client, so that they can be suspended.
 */
public final class Keeper implements AutoCloseable {
    private final PrimaryContext context;
    private final WarmUpReport report;

    Keeper(PrimaryContext context, WarmUpReport report) {
        this.context = context;
        this.report = report;
    }

    /** What the initialisation cost. */
    public WarmUpReport report() {
        return report;
    }

    /** Lets the GPU go. */
    @Override
    public void close() {
        context.close();
    }
}
