package dev.torpor;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Options of {@link GpuProcess#resume(Resume)}. Immutable: each method returns a changed copy. */
public final class Resume {
    private static final Resume DEFAULT = new Resume(DeviceMap.same(), Set.of(), true, null, false, null, null, null);

    private final DeviceMap deviceMap;
    private final Set<GpuUuid> devices;
    private final boolean checkDeviceMemory;
    private final @Nullable Path storedAt;
    private final boolean removesStored;
    private final @Nullable Duration stepTimeout;
    private final @Nullable ProgressListener listener;
    private final @Nullable Cancellation cancellation;

    private Resume(
            DeviceMap deviceMap,
            Set<GpuUuid> devices,
            boolean checkDeviceMemory,
            @Nullable Path storedAt,
            boolean removesStored,
            @Nullable Duration stepTimeout,
            @Nullable ProgressListener listener,
            @Nullable Cancellation cancellation) {
        this.deviceMap = deviceMap;
        this.devices = devices;
        this.checkDeviceMemory = checkDeviceMemory;
        this.storedAt = storedAt;
        this.removesStored = removesStored;
        this.stepTimeout = stepTimeout;
        this.listener = listener;
        this.cancellation = cancellation;
    }

    /** The default options: onto the GPUs of before, device memory checked, no limit for a step. */
    public static Resume defaults() {
        return DEFAULT;
    }

    /** Onto which GPUs. */
    public Resume onto(DeviceMap map) {
        return new Resume(
                Objects.requireNonNull(map),
                devices,
                checkDeviceMemory,
                storedAt,
                removesStored,
                stepTimeout,
                listener,
                cancellation);
    }

    /**
     * The GPUs that the process was on when it was suspended. Needed where nothing else tells, and not all GPUs have room: the record that
     * the suspending controller left and the shim in the process do.
     */
    public Resume onDevices(Collection<GpuUuid> gpus) {
        return new Resume(
                deviceMap,
                Set.copyOf(gpus),
                checkDeviceMemory,
                storedAt,
                removesStored,
                stepTimeout,
                listener,
                cancellation);
    }

    /** As {@link #onDevices(Collection)}. */
    public Resume onDevices(GpuUuid... gpus) {
        return onDevices(List.of(gpus));
    }

    /**
     * Whether to refuse when too little device memory is free, for the driver's restore and, of a parked process, for the shim's unpark
     * behind it. A restore that runs out of memory is final for the process, so
     * leave this on unless the check is wrong about yours.
     */
    public Resume checkDeviceMemory(boolean check) {
        return new Resume(deviceMap, devices, check, storedAt, removesStored, stepTimeout, listener, cancellation);
    }

    /**
     * How long to wait for the driver, or the shim, in any one step. Neither can be interrupted: after this time the call fails with
     * {@link Problem#UNRESPONSIVE}, and the step may still end by itself.
     */
    public Resume stepTimeout(Duration timeout) {
        return new Resume(
                deviceMap,
                devices,
                checkDeviceMemory,
                storedAt,
                removesStored,
                Timeouts.positive(timeout),
                listener,
                cancellation);
    }

    /**
     * Where the files that {@link Suspend#arena} or {@link Suspend#storeAt} made are now; they are read, and those of {@code arena} removed
     * then. Default: where they were made. Of no matter where nothing was parked.
     *
     * @param folder an absolute path, as the process sees it
     */
    public Resume storedAt(Path folder) {
        return new Resume(
                deviceMap,
                devices,
                checkDeviceMemory,
                ShimControl.checkedArena(folder),
                removesStored,
                stepTimeout,
                listener,
                cancellation);
    }

    /** Files that {@link Suspend#storeAt} made are removed when they are read, as those of {@link Suspend#arena} always are. */
    public Resume removeStored() {
        return new Resume(deviceMap, devices, checkDeviceMemory, storedAt, true, stepTimeout, listener, cancellation);
    }

    /** Whom to tell how far it is. */
    public Resume onProgress(ProgressListener progressListener) {
        return new Resume(
                deviceMap,
                devices,
                checkDeviceMemory,
                storedAt,
                removesStored,
                stepTimeout,
                Objects.requireNonNull(progressListener),
                cancellation);
    }

    /** Lets another thread stop the resume between two steps; it is undone then. After its last step it has succeeded. */
    public Resume cancelledBy(Cancellation stop) {
        return new Resume(
                deviceMap,
                devices,
                checkDeviceMemory,
                storedAt,
                removesStored,
                stepTimeout,
                listener,
                Objects.requireNonNull(stop));
    }

    /** See {@link #onto}. */
    public DeviceMap deviceMap() {
        return deviceMap;
    }

    Set<GpuUuid> devices() {
        return devices;
    }

    boolean checkDeviceMemory() {
        return checkDeviceMemory;
    }

    Optional<Path> storedAt() {
        return Optional.ofNullable(storedAt);
    }

    boolean removesStored() {
        return removesStored;
    }

    Optional<Duration> stepTimeout() {
        return Optional.ofNullable(stepTimeout);
    }

    Optional<ProgressListener> listener() {
        return Optional.ofNullable(listener);
    }

    boolean isCancelled() {
        return cancellation != null && cancellation.isRequested();
    }
}
