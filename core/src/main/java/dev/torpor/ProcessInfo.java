package dev.torpor;

import java.util.Map;

/**
 * A CUDA process as {@link Cuda#processes} found it.
 *
 * @param pid process id
 * @param command its command line
 * @param state {@link ProcessState#UNKNOWN} if the driver did not tell, for want of permission or since a transition runs
 * @param deviceMemory bytes held on each GPU, as NVML tells; empty for a checkpointed process, and without NVML
 * @param note why the state is unknown, or empty
 */
public record ProcessInfo(long pid, String command, ProcessState state, Map<GpuUuid, Long> deviceMemory, String note) {
    /** Makes the map unmodifiable. */
    public ProcessInfo {
        deviceMemory = Map.copyOf(deviceMemory);
    }

    /** Device memory on all GPUs, in bytes. */
    public long deviceBytes() {
        long sum = 0;
        for (long bytes : deviceMemory.values()) {
            sum += bytes;
        }
        return sum;
    }
}
