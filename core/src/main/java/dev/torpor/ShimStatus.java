package dev.torpor;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What a shim tells about its process ({@code status} in {@code docs/parking.md}).
 *
 * @param version of the shim
 * @param pid as the process itself sees it, which in a container is another than on the host
 * @param state {@link ProcessState#RUNNING}, {@link ProcessState#PARKING}, {@link ProcessState#PARKED} or
 *     {@link ProcessState#UNPARKING}; what the driver has done to the process is not in it
 * @param parkableBytes device memory that could be parked now
 * @param parkedBytes device memory whose contents are on the host now
 * @param leftBytes device memory of the application that must be left to the driver
 * @param arenaBytes anonymous host memory that is ready for a park, or in use by it
 * @param imports pieces of device memory of other processes that the process holds (CUDA IPC, shareable handles, pools); 0 from a shim that
 *     does not count them
 * @param multicasts multicast objects that it holds; 0 from a shim that does not count them
 * @param driverBuffers how often the driver has been given its buffer for a checkpoint; empty from a shim that does not count
 * @param devices the GPUs on which the process has a context or memory: where it is, or while it is checkpointed was; empty from a shim
 *     that does not tell
 */
public record ShimStatus(
        String version,
        long pid,
        ProcessState state,
        long parkableBytes,
        long parkedBytes,
        long leftBytes,
        long arenaBytes,
        long imports,
        long multicasts,
        OptionalLong driverBuffers,
        Map<GpuUuid, DeviceBytes> devices) {
    /** Makes the map unmodifiable. */
    public ShimStatus {
        devices = Map.copyOf(devices);
    }

    /**
     * Of one GPU, in bytes.
     *
     * @param parked device memory whose contents are on the host now
     * @param left device memory of the application that must be left to the driver
     */
    public record DeviceBytes(long parked, long left) {}

    /**
     * Reads {@code UUID:PARKED:LEFT,...}.
     *
     * @return empty if there is no such text, or it makes no sense
     */
    static Map<GpuUuid, DeviceBytes> devices(@Nullable String text) {
        Map<GpuUuid, DeviceBytes> devices = new LinkedHashMap<>();
        if (text == null || text.isEmpty()) {
            return devices;
        }
        for (String device : text.split(",", -1)) {
            String[] fields = device.split(":", -1);
            try {
                if (fields.length != 3) {
                    return Map.of();
                }
                DeviceBytes bytes = new DeviceBytes(bytes(fields[1]), bytes(fields[2]));
                if (devices.putIfAbsent(GpuUuid.parse(fields[0]), bytes) != null) {
                    return Map.of();
                }
            } catch (IllegalArgumentException e) {
                return Map.of();
            }
        }
        return devices;
    }

    private static long bytes(String text) {
        if (text.isEmpty() || text.length() > 18 || !text.chars().allMatch(c -> c >= '0' && c <= '9')) {
            throw new IllegalArgumentException("'" + text + "' is no number of bytes");
        }
        return Long.parseLong(text);
    }
}
