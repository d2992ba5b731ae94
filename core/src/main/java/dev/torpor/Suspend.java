package dev.torpor;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link GpuProcess#suspend(Suspend)}. Immutable: each method returns a changed copy. */
public final class Suspend {
    private static final Suspend DEFAULT = new Suspend(Level.CHECKPOINT, Duration.ofSeconds(10), true, null, null);

    private final Level level;
    private final Duration lockTimeout;
    private final boolean checkHostMemory;
    private final @Nullable Duration stepTimeout;
    private final @Nullable ProgressListener listener;

    private Suspend(
            Level level,
            Duration lockTimeout,
            boolean checkHostMemory,
            @Nullable Duration stepTimeout,
            @Nullable ProgressListener listener) {
        this.level = level;
        this.lockTimeout = lockTimeout;
        this.checkHostMemory = checkHostMemory;
        this.stepTimeout = stepTimeout;
        this.listener = listener;
    }

    /** The default options at a level: a lock timeout of 10 s, host memory checked, no limit for a step. */
    public static Suspend to(Level level) {
        return new Suspend(Objects.requireNonNull(level), DEFAULT.lockTimeout, DEFAULT.checkHostMemory, null, null);
    }

    static Suspend defaults() {
        return DEFAULT;
    }

    /**
     * How long to wait for the work that is on the GPU already; {@link Duration#ZERO} waits for ever.
     *
     * @param timeout whole milliseconds count, rounded up; up to 49 days
     */
    public Suspend lockTimeout(Duration timeout) {
        Timeouts.millis(timeout);
        return new Suspend(level, timeout, checkHostMemory, stepTimeout, listener);
    }

    /** Whether to refuse when the host's memory, or that of the target's cgroup, is too small. */
    public Suspend checkHostMemory(boolean check) {
        return new Suspend(level, lockTimeout, check, stepTimeout, listener);
    }

    /**
     * How long to wait for the driver in any one step. The driver cannot be interrupted: after this time the call fails with
     * {@link Problem#UNRESPONSIVE}, and the step may still end by itself.
     */
    public Suspend stepTimeout(Duration timeout) {
        return new Suspend(level, lockTimeout, checkHostMemory, Timeouts.positive(timeout), listener);
    }

    /** Whom to tell how far it is. */
    public Suspend onProgress(ProgressListener progressListener) {
        return new Suspend(level, lockTimeout, checkHostMemory, stepTimeout, Objects.requireNonNull(progressListener));
    }

    /** How deep the process shall sleep. */
    public Level level() {
        return level;
    }

    /** See {@link #lockTimeout(Duration)}. */
    public Duration lockTimeout() {
        return lockTimeout;
    }

    boolean checkHostMemory() {
        return checkHostMemory;
    }

    Optional<Duration> stepTimeout() {
        return Optional.ofNullable(stepTimeout);
    }

    Optional<ProgressListener> listener() {
        return Optional.ofNullable(listener);
    }
}
