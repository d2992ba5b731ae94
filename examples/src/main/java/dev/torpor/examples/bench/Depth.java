package dev.torpor.examples.bench;

import java.util.Locale;

/** How deep the process sleeps, and who makes it. */
public enum Depth {
    /** It stays on the host, with its device memory in host memory. */
    CHECKPOINT,
    /** It goes to disk, by CRIU. */
    SNAPSHOT,
    /** The same, and the files of the snapshot leave the page cache before it is woken. */
    SNAPSHOT_COLD,
    /** Its container goes to disk, by podman. */
    PODMAN;

    boolean isSnapshot() {
        return this == SNAPSHOT || this == SNAPSHOT_COLD;
    }

    /** As the command line has it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
