package dev.torpor;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link GpuProcess#suspend(Suspend)}. Immutable: each method returns a changed copy. */
public final class Suspend {
    private static final Suspend DEFAULT = new Suspend(new Values());

    private final Values values;

    /** Changed only before it gets into a {@link Suspend}. */
    private static final class Values {
        private Level level = Level.CHECKPOINT;
        private Duration lockTimeout = Duration.ofSeconds(10);
        private boolean checkHostMemory = true;
        private boolean checkSharing = true;
        private boolean parking = true;
        private @Nullable Path arena;
        private boolean stored;
        private @Nullable Duration stepTimeout;
        private @Nullable ProgressListener listener;
        private @Nullable Cancellation cancellation;

        Values() {}

        Values(Values other) {
            level = other.level;
            lockTimeout = other.lockTimeout;
            checkHostMemory = other.checkHostMemory;
            checkSharing = other.checkSharing;
            parking = other.parking;
            arena = other.arena;
            stored = other.stored;
            stepTimeout = other.stepTimeout;
            listener = other.listener;
            cancellation = other.cancellation;
        }
    }

    private Suspend(Values values) {
        this.values = values;
    }

    /** The default options at a level: a lock timeout of 10 s, host memory checked, parked if the shim is there, no limit for a step. */
    public static Suspend to(Level level) {
        Values changed = new Values();
        changed.level = Objects.requireNonNull(level);
        return new Suspend(changed);
    }

    static Suspend defaults() {
        return DEFAULT;
    }

    /**
     * How long to wait for the work that is on the GPU already; {@link Duration#ZERO} waits for ever, or where the shim does the waiting
     * an hour, which is the longest for it.
     *
     * @param timeout whole milliseconds count, rounded up; up to 49 days
     */
    public Suspend lockTimeout(Duration timeout) {
        Timeouts.millis(timeout);
        Values changed = new Values(values);
        changed.lockTimeout = timeout;
        return new Suspend(changed);
    }

    /** Whether to refuse when the host's memory, or that of the target's cgroup, is too small. */
    public Suspend checkHostMemory(boolean check) {
        Values changed = new Values(values);
        changed.checkHostMemory = check;
        return new Suspend(changed);
    }

    /**
     * Whether to refuse a process that holds device memory of another process, or multicast objects, as far as that can be found out. The
     * driver checkpoints such a process and does not restore it again: without this check it may be lost.
     */
    public Suspend checkSharing(boolean check) {
        Values changed = new Values(values);
        changed.checkSharing = check;
        return new Suspend(changed);
    }

    /**
     * Leaves the shim aside, also where the process carries it: the driver does all the work, at its own speed. The shim is asked
     * for nothing but what the process shares with others ({@link #checkSharing}).
     *
     * @throws IllegalArgumentException at {@link Level#PARK}, which is the shim's work
     */
    public Suspend withoutParking() {
        if (values.level == Level.PARK) {
            throw new IllegalArgumentException("to park is the shim's work: leave it aside at level CHECKPOINT only");
        }
        Values changed = new Values(values);
        changed.parking = false;
        return new Suspend(changed);
    }

    /**
     * Parks into new files in a folder, in place of anonymous memory: up to 16, {@code memory-00} to {@code memory-15}, as writes to one
     * file wait for each other. Meanwhile the process has them neither open nor mapped, so that the folder may be moved; where it is by
     * then {@link Resume#storedAt} says. The resume removes them when they are read. Without the shim it does not matter.
     *
     * @param folder an absolute path, as the process sees it, of a folder that is there and that it may write to, with none of these files
     *     in it; on tmpfs or a disk. If there is nothing to park, none is made
     */
    public Suspend arena(Path folder) {
        Values changed = new Values(values);
        changed.arena = ShimControl.checkedArena(folder);
        changed.stored = false;
        return new Suspend(changed);
    }

    /**
     * As {@link #arena}, but the files belong to the caller: they stay after the resume.
     *
     * @param folder as for {@link #arena}
     */
    public Suspend storeAt(Path folder) {
        Values changed = new Values(arena(folder).values);
        changed.stored = true;
        return new Suspend(changed);
    }

    /**
     * How long to wait for the driver, or the shim, in any one step. Neither can be interrupted: after this time the call fails with
     * {@link Problem#UNRESPONSIVE}. Before that it waits up to 30 s more for the end of the step, to undo it and the steps before it; if
     * the step does not end by then, its end is unknown, and the message says so.
     */
    public Suspend stepTimeout(Duration timeout) {
        Values changed = new Values(values);
        changed.stepTimeout = Timeouts.positive(timeout);
        return new Suspend(changed);
    }

    /** Whom to tell how far it is. */
    public Suspend onProgress(ProgressListener progressListener) {
        Values changed = new Values(values);
        changed.listener = Objects.requireNonNull(progressListener);
        return new Suspend(changed);
    }

    /** Lets another thread stop the suspend between two steps, or after the last; it is undone then. */
    public Suspend cancelledBy(Cancellation cancellation) {
        Values changed = new Values(values);
        changed.cancellation = Objects.requireNonNull(cancellation);
        return new Suspend(changed);
    }

    /** How deep the process shall sleep. */
    public Level level() {
        return values.level;
    }

    /** See {@link #lockTimeout(Duration)}. */
    public Duration lockTimeout() {
        return values.lockTimeout;
    }

    boolean checkSharing() {
        return values.checkSharing;
    }

    boolean checkHostMemory() {
        return values.checkHostMemory;
    }

    boolean parking() {
        return values.parking;
    }

    Optional<Path> arena() {
        return Optional.ofNullable(values.arena);
    }

    boolean stored() {
        return values.stored;
    }

    Optional<Duration> stepTimeout() {
        return Optional.ofNullable(values.stepTimeout);
    }

    Optional<ProgressListener> listener() {
        return Optional.ofNullable(values.listener);
    }

    boolean isCancelled() {
        return values.cancellation != null && values.cancellation.isRequested();
    }
}
