package dev.torpor.driver;

import java.nio.ByteBuffer;

/**
 * The CUDA driver API as {@code libcuda.so.1} offers it. Each method is the C function of its name, with its parameters
 * in their order, and returns the {@code CUresult} that came.
 *
 * <ul>
 *   <li>An out parameter is an array, and its element 0 is written only when the call succeeds.
 *   <li>Handles and addresses (CUcontext, CUmodule, CUfunction, CUstream, CUdeviceptr) are {@code long}, CUdevice is {@code int}.
 *   <li>A function that the driver lacks answers {@link CudaResult#NOT_SUPPORTED}.
 *   <li>Every method may be called from any thread; the current context belongs to the calling thread, as in C.
 * </ul>
 *
 * The library behind it is never unloaded.
 *
 * @see <a href="https://docs.nvidia.com/cuda/cuda-driver-api/">CUDA Driver API</a>
 */
public interface CudaDriver {
    /** The CUDA version, as {@code cuGetProcAddress} takes it, whose argument layouts this interface was written for. */
    int CUDA_VERSION = 13000;

    int cuInit(int flags);

    /** @param driverVersion receives 1000 * major + 10 * minor */
    int cuDriverGetVersion(int[] driverVersion);

    /**
     * @param symbol the name without a version suffix
     * @param pfn receives the address, 0 where there is none
     * @param symbolStatus receives a {@code CUdriverProcAddressQueryResult}: 0 found, 1 unknown symbol, 2 version too old
     */
    int cuGetProcAddress_v2(String symbol, long[] pfn, int cudaVersion, long flags, int[] symbolStatus);

    int cuGetErrorName(int error, String[] name);

    int cuGetErrorString(int error, String[] description);

    int cuDeviceGetCount(int[] count);

    int cuDeviceGet(int[] device, int ordinal);

    /** @param name receives a NUL-terminated string of at most {@code len} bytes */
    int cuDeviceGetName(byte[] name, int len, int device);

    /** @param uuid 16 bytes, in the order of the printed form */
    int cuDeviceGetUuid_v2(byte[] uuid, int device);

    /** @param bytes receives the device memory in bytes */
    int cuDeviceTotalMem_v2(long[] bytes, int device);

    /** @param attribute a {@code CUdevice_attribute} */
    int cuDeviceGetAttribute(int[] value, int attribute, int device);

    int cuDevicePrimaryCtxRetain(long[] context, int device);

    int cuDevicePrimaryCtxRelease_v2(int device);

    int cuDevicePrimaryCtxGetState(int device, int[] flags, int[] active);

    /** @param context 0 makes no context current */
    int cuCtxSetCurrent(long context);

    /** @param context receives 0 if none is current */
    int cuCtxGetCurrent(long[] context);

    int cuCtxSynchronize();

    int cuMemGetInfo_v2(long[] freeBytes, long[] totalBytes);

    int cuMemAlloc_v2(long[] devicePointer, long bytes);

    int cuMemFree_v2(long devicePointer);

    int cuMemsetD8_v2(long dstDevice, byte value, long count);

    /** @param count number of 32-bit words */
    int cuMemsetD32_v2(long dstDevice, int value, long count);

    /**
     * @param srcHost a direct buffer, read from its position on
     * @throws IllegalArgumentException if {@code srcHost} is not direct or has fewer bytes remaining than {@code bytes}
     */
    int cuMemcpyHtoD_v2(long dstDevice, ByteBuffer srcHost, long bytes);

    /**
     * @param dstHost a direct, writable buffer, written from its position on
     * @throws IllegalArgumentException if {@code dstHost} is not direct, is read-only, or has fewer bytes remaining than
     *     {@code bytes}
     */
    int cuMemcpyDtoH_v2(ByteBuffer dstHost, long srcDevice, long bytes);

    int cuMemcpyDtoD_v2(long dstDevice, long srcDevice, long bytes);

    /** @param image PTX text; the terminating NUL is added */
    int cuModuleLoadData(long[] module, String image);

    int cuModuleUnload(long module);

    int cuModuleGetFunction(long[] function, long module, String name);

    /**
     * @param stream 0 is the default stream
     * @param kernelParams one element for each kernel parameter of at most 8 bytes, its value in the low bytes; {@code extra}
     *     is always NULL
     */
    int cuLaunchKernel(
            long function,
            int gridDimX,
            int gridDimY,
            int gridDimZ,
            int blockDimX,
            int blockDimY,
            int blockDimZ,
            int sharedMemBytes,
            long stream,
            long[] kernelParams);

    /** @param state receives a {@code CUprocessState}; newer drivers have more of them than this library knows */
    int cuCheckpointProcessGetState(int pid, int[] state);

    int cuCheckpointProcessGetRestoreThreadId(int pid, int[] tid);

    /** @param timeoutMs {@code CUcheckpointLockArgs.timeoutMs}, an unsigned number of milliseconds; 0 waits for ever */
    int cuCheckpointProcessLock(int pid, int timeoutMs);

    int cuCheckpointProcessCheckpoint(int pid);

    /**
     * @param gpuPairs {@code CUcheckpointRestoreArgs.gpuPairs}: for each pair the old and the new UUID, 16 bytes each; empty
     *     restores onto the GPUs of before
     * @throws IllegalArgumentException if the length is not a multiple of 32
     */
    int cuCheckpointProcessRestore(int pid, byte[] gpuPairs);

    int cuCheckpointProcessUnlock(int pid);
}
