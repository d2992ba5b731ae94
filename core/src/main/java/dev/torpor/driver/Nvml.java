package dev.torpor.driver;

/**
 * The part of the NVIDIA Management Library ({@code libnvidia-ml.so.1}) that tells who uses how much device memory. Shaped
 * like {@link CudaDriver}: C names, out arrays, the {@code nvmlReturn_t} as it came. A function that the library lacks
 * answers {@link #ERROR_FUNCTION_NOT_FOUND}. Every method may be called from any thread.
 *
 * @see <a href="https://docs.nvidia.com/deploy/nvml-api/">NVML API Reference</a>
 */
public interface Nvml {
    int SUCCESS = 0;
    int ERROR_INSUFFICIENT_SIZE = 7;
    int ERROR_FUNCTION_NOT_FOUND = 13;

    /** The size that {@link #nvmlDeviceGetUUID} asks for: {@code NVML_DEVICE_UUID_V2_BUFFER_SIZE}. */
    int UUID_BUFFER_SIZE = 96;

    /** {@code usedGpuMemory} of a process whose memory the driver cannot tell: {@code NVML_VALUE_NOT_AVAILABLE}. */
    long VALUE_NOT_AVAILABLE = -1;

    int nvmlInit_v2();

    int nvmlShutdown();

    String nvmlErrorString(int result);

    int nvmlDeviceGetCount_v2(int[] count);

    int nvmlDeviceGetHandleByIndex_v2(int index, long[] device);

    /** @param uuid receives a NUL-terminated string like {@code GPU-xxxxxxxx-xxxx-…} */
    int nvmlDeviceGetUUID(long device, byte[] uuid, int length);

    /** @param memory receives {@code nvmlMemory_t}: total, free and used bytes */
    int nvmlDeviceGetMemoryInfo(long device, long[] memory);

    /** @param mode receives 1 where persistence mode is on */
    int nvmlDeviceGetPersistenceMode(long device, int[] mode);

    /**
     * @param infoCount on entry how many processes the arrays hold, on return how many there are
     * @param pids receives the pids
     * @param usedGpuMemory receives bytes, or {@link #VALUE_NOT_AVAILABLE}
     */
    int nvmlDeviceGetComputeRunningProcesses_v3(long device, int[] infoCount, int[] pids, long[] usedGpuMemory);

    /** The clients of an MPS server on this device; parameters as above. */
    int nvmlDeviceGetMPSComputeRunningProcesses_v3(long device, int[] infoCount, int[] pids, long[] usedGpuMemory);
}
