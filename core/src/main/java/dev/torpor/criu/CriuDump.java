package dev.torpor.criu;

import dev.torpor.tools.Arguments;

/** Options of {@link Criu#dump}. */
public final class CriuDump extends CriuOptions<CriuDump> {
    private static final CriuDump DEFAULT = new CriuDump(Arguments.NONE);

    private CriuDump(Arguments told) {
        super(told);
    }

    /** The processes end, nothing special is in them, and CRIU has 10 min. */
    public static CriuDump defaults() {
        return DEFAULT;
    }

    @Override
    CriuDump with(Arguments changed) {
        return new CriuDump(changed);
    }

    /** The processes run on ({@code --leave-running}), beside images that they no longer agree with. */
    public CriuDump leaveRunning() {
        return with("--leave-running");
    }

    /** With files that have no name any more but other links ({@code --link-remap}): CRIU gives them one until the restore. */
    public CriuDump linkRemap() {
        return with("--link-remap");
    }

    /**
     * How large an open file may be that is deleted, as it gets into the images whole ({@code --ghost-limit}).
     *
     * @param bytes 0 or more; CRIU's default is 1 MiB
     */
    public CriuDump ghostLimit(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("a ghost limit of " + bytes + " bytes is out of range: use 0 or more");
        }
        return with("--ghost-limit", Long.toString(bytes));
    }

    /** Whether {@link #linkRemap} was asked for, by its method or by an argument. */
    public boolean remapsLinks() {
        return told.words().contains("--link-remap");
    }

    /** Whether the processes run on, whichever way that was asked for. */
    public boolean leavesRunning() {
        return told.words().contains("--leave-running") || told.words().contains("-R");
    }
}
