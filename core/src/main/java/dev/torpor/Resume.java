package dev.torpor;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link GpuProcess#resume(Resume)}. Immutable: each method returns a changed copy. */
public final class Resume {
    private static final Resume DEFAULT = new Resume(DeviceMap.same(), true, null, null, null);

    private final DeviceMap deviceMap;
    private final boolean checkDeviceMemory;
    private final @Nullable Path storedAt;
    private final @Nullable Duration stepTimeout;
    private final @Nullable ProgressListener listener;

    private Resume(
            DeviceMap deviceMap,
            boolean checkDeviceMemory,
            @Nullable Path storedAt,
            @Nullable Duration stepTimeout,
            @Nullable ProgressListener listener) {
        this.deviceMap = deviceMap;
        this.checkDeviceMemory = checkDeviceMemory;
        this.storedAt = storedAt;
        this.stepTimeout = stepTimeout;
        this.listener = listener;
    }

    /** The default options: onto the GPUs of before, device memory checked, no limit for a step. */
    public static Resume defaults() {
        return DEFAULT;
    }

    /** Onto which GPUs. */
    public Resume onto(DeviceMap map) {
        return new Resume(Objects.requireNonNull(map), checkDeviceMemory, storedAt, stepTimeout, listener);
    }

    /**
     * Whether to refuse when too little device memory is free, for the driver's restore and, of a parked process, for the shim's unpark
     * behind it. A restore that runs out of memory is final for the process, so
     * leave this on unless the check is wrong about yours.
     */
    public Resume checkDeviceMemory(boolean check) {
        return new Resume(deviceMap, check, storedAt, stepTimeout, listener);
    }

    /**
     * How long to wait for the driver, or the shim, in any one step. Neither can be interrupted: after this time the call fails with
     * {@link Problem#UNRESPONSIVE}, and the step may still end by itself.
     */
    public Resume stepTimeout(Duration timeout) {
        return new Resume(deviceMap, checkDeviceMemory, storedAt, Timeouts.positive(timeout), listener);
    }

    /**
     * Where the files that {@link Suspend#arena} or {@link Suspend#storeAt} made are now; they are read, and those of {@code arena} removed
     * then. Default: where they were made. Of no matter where nothing was parked.
     *
     * @param folder an absolute path, as the process sees it
     */
    public Resume storedAt(Path folder) {
        return new Resume(deviceMap, checkDeviceMemory, ShimControl.checkedArena(folder), stepTimeout, listener);
    }

    /** Whom to tell how far it is. */
    public Resume onProgress(ProgressListener progressListener) {
        return new Resume(
                deviceMap, checkDeviceMemory, storedAt, stepTimeout, Objects.requireNonNull(progressListener));
    }

    /** See {@link #onto}. */
    public DeviceMap deviceMap() {
        return deviceMap;
    }

    boolean checkDeviceMemory() {
        return checkDeviceMemory;
    }

    Optional<Path> storedAt() {
        return Optional.ofNullable(storedAt);
    }

    Optional<Duration> stepTimeout() {
        return Optional.ofNullable(stepTimeout);
    }

    Optional<ProgressListener> listener() {
        return Optional.ofNullable(listener);
    }
}
