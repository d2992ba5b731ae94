package dev.torpor.driver;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The driver in a library that a binding has loaded: puts arguments into native memory and takes values out of it. */
public final class LibCuda implements CudaDriver {
    private static final int ARGS_SIZE = 64;
    private static final int GPU_PAIR_SIZE = 32;
    private static final int UUID_SIZE = 16;

    /** Where a text argument is put: behind two out parameters. */
    private static final int TEXT = 16;

    private final LoadedLibrary library;
    private final Functions functions;

    public LibCuda(LoadedLibrary library) {
        this.library = library;
        functions = new Functions(library, CudaResult.NOT_SUPPORTED) {
            @Override
            @Nullable
            NativeFunction find(String name) {
                NativeFunction found = name.startsWith("cuCheckpoint") ? ofOurVersion(name) : null;
                return found == null ? super.find(name) : found;
            }
        };
    }

    /** The argument structures of these grow from version to version, so the name alone does not say which are meant. */
    private @Nullable NativeFunction ofOurVersion(String name) {
        long[] address = new long[1];
        int result = cuGetProcAddress_v2(name, address, CUDA_VERSION, 0, new int[1]);
        return result == CudaResult.SUCCESS && address[0] != 0 ? library.function(address[0]) : null;
    }

    /** To be called before an argument is put into scratch memory, which the look-up uses too. */
    private NativeFunction function(String name) {
        return functions.get(name);
    }

    private Scratch scratch() {
        return Scratch.of(library);
    }

    @Override
    public int cuInit(int flags) {
        return function("cuInit").call(flags);
    }

    @Override
    public int cuDriverGetVersion(int[] driverVersion) {
        Scratch s = scratch();
        return s.give(function("cuDriverGetVersion").call(s.at(0)), driverVersion);
    }

    @Override
    public int cuGetProcAddress_v2(String symbol, long[] pfn, int cudaVersion, long flags, int[] symbolStatus) {
        NativeFunction function = function("cuGetProcAddress_v2");
        Scratch s = Scratch.text(library, TEXT, symbol);
        int result = function.call(s.at(TEXT), s.at(0), cudaVersion, flags, s.at(8));
        s.give(result, 8, symbolStatus);
        return s.give(result, pfn);
    }

    @Override
    public int cuGetErrorName(int error, String[] name) {
        return text("cuGetErrorName", error, name);
    }

    @Override
    public int cuGetErrorString(int error, String[] description) {
        return text("cuGetErrorString", error, description);
    }

    private int text(String function, int error, String[] out) {
        Scratch s = scratch();
        int result = function(function).call(error, s.at(0));
        if (result == CudaResult.SUCCESS) {
            out[0] = library.text(s.bytes.getLong(0));
        }
        return result;
    }

    @Override
    public int cuDeviceGetCount(int[] count) {
        Scratch s = scratch();
        return s.give(function("cuDeviceGetCount").call(s.at(0)), count);
    }

    @Override
    public int cuDeviceGet(int[] device, int ordinal) {
        Scratch s = scratch();
        return s.give(function("cuDeviceGet").call(s.at(0), ordinal), device);
    }

    @Override
    public int cuDeviceGetName(byte[] name, int len, int device) {
        Objects.checkFromIndexSize(0, len, name.length);
        Scratch s = Scratch.zeroed(library, len);
        return s.give(function("cuDeviceGetName").call(s.at(0), len, device), name, len);
    }

    @Override
    public int cuDeviceGetUuid_v2(byte[] uuid, int device) {
        Scratch s = scratch();
        return s.give(function("cuDeviceGetUuid_v2").call(s.at(0), device), uuid, UUID_SIZE);
    }

    @Override
    public int cuDeviceTotalMem_v2(long[] bytes, int device) {
        Scratch s = scratch();
        return s.give(function("cuDeviceTotalMem_v2").call(s.at(0), device), bytes);
    }

    @Override
    public int cuDeviceGetAttribute(int[] value, int attribute, int device) {
        Scratch s = scratch();
        return s.give(function("cuDeviceGetAttribute").call(s.at(0), attribute, device), value);
    }

    @Override
    public int cuDevicePrimaryCtxRetain(long[] context, int device) {
        Scratch s = scratch();
        return s.give(function("cuDevicePrimaryCtxRetain").call(s.at(0), device), context);
    }

    @Override
    public int cuDevicePrimaryCtxRelease_v2(int device) {
        return function("cuDevicePrimaryCtxRelease_v2").call(device);
    }

    @Override
    public int cuDevicePrimaryCtxGetState(int device, int[] flags, int[] active) {
        Scratch s = scratch();
        int result = function("cuDevicePrimaryCtxGetState").call(device, s.at(0), s.at(8));
        s.give(result, 8, active);
        return s.give(result, flags);
    }

    @Override
    public int cuCtxSetCurrent(long context) {
        return function("cuCtxSetCurrent").call(context);
    }

    @Override
    public int cuCtxGetCurrent(long[] context) {
        Scratch s = scratch();
        return s.give(function("cuCtxGetCurrent").call(s.at(0)), context);
    }

    @Override
    public int cuCtxSynchronize() {
        return function("cuCtxSynchronize").call();
    }

    @Override
    public int cuMemGetInfo_v2(long[] freeBytes, long[] totalBytes) {
        Scratch s = scratch();
        int result = function("cuMemGetInfo_v2").call(s.at(0), s.at(8));
        s.give(result, 8, totalBytes);
        return s.give(result, freeBytes);
    }

    @Override
    public int cuMemAlloc_v2(long[] devicePointer, long bytes) {
        Scratch s = scratch();
        return s.give(function("cuMemAlloc_v2").call(s.at(0), bytes), devicePointer);
    }

    @Override
    public int cuMemFree_v2(long devicePointer) {
        return function("cuMemFree_v2").call(devicePointer);
    }

    @Override
    public int cuMemsetD8_v2(long dstDevice, byte value, long count) {
        return function("cuMemsetD8_v2").call(dstDevice, Byte.toUnsignedInt(value), count);
    }

    @Override
    public int cuMemsetD32_v2(long dstDevice, int value, long count) {
        return function("cuMemsetD32_v2").call(dstDevice, value, count);
    }

    @Override
    public int cuMemcpyHtoD_v2(long dstDevice, ByteBuffer srcHost, long bytes) {
        long host = library.address(HostBuffer.source(srcHost, bytes));
        try {
            return function("cuMemcpyHtoD_v2").call(dstDevice, host, bytes);
        } finally {
            Reference.reachabilityFence(srcHost);
        }
    }

    @Override
    public int cuMemcpyDtoH_v2(ByteBuffer dstHost, long srcDevice, long bytes) {
        long host = library.address(HostBuffer.destination(dstHost, bytes));
        try {
            return function("cuMemcpyDtoH_v2").call(host, srcDevice, bytes);
        } finally {
            Reference.reachabilityFence(dstHost);
        }
    }

    @Override
    public int cuMemcpyDtoD_v2(long dstDevice, long srcDevice, long bytes) {
        return function("cuMemcpyDtoD_v2").call(dstDevice, srcDevice, bytes);
    }

    @Override
    public int cuModuleLoadData(long[] module, String image) {
        NativeFunction load = function("cuModuleLoadData");
        Scratch s = Scratch.text(library, TEXT, image);
        return s.give(load.call(s.at(0), s.at(TEXT)), module);
    }

    @Override
    public int cuModuleUnload(long module) {
        return function("cuModuleUnload").call(module);
    }

    @Override
    public int cuModuleGetFunction(long[] function, long module, String name) {
        NativeFunction get = function("cuModuleGetFunction");
        Scratch s = Scratch.text(library, TEXT, name);
        return s.give(get.call(s.at(0), module, s.at(TEXT)), function);
    }

    @Override
    public int cuLaunchKernel(
            long function,
            int gridDimX,
            int gridDimY,
            int gridDimZ,
            int blockDimX,
            int blockDimY,
            int blockDimZ,
            int sharedMemBytes,
            long stream,
            long[] kernelParams) {
        NativeFunction launch = function("cuLaunchKernel");
        Scratch s = pointers(kernelParams);
        return s.used(launch.call(
                function,
                gridDimX,
                gridDimY,
                gridDimZ,
                blockDimX,
                blockDimY,
                blockDimZ,
                sharedMemBytes,
                stream,
                s.at(0),
                0L));
    }

    /** An array of pointers, and behind it what they point to. */
    private Scratch pointers(long[] values) {
        int pointers = Long.BYTES * values.length;
        Scratch s = Scratch.zeroed(library, 2 * pointers);
        for (int i = 0; i < values.length; i++) {
            int at = pointers + Long.BYTES * i;
            s.bytes.putLong(Long.BYTES * i, s.at(at)).putLong(at, values[i]);
        }
        return s;
    }

    @Override
    public int cuCheckpointProcessGetState(int pid, int[] state) {
        Scratch s = scratch();
        return s.give(function("cuCheckpointProcessGetState").call(pid, s.at(0)), state);
    }

    @Override
    public int cuCheckpointProcessGetRestoreThreadId(int pid, int[] tid) {
        Scratch s = scratch();
        return s.give(function("cuCheckpointProcessGetRestoreThreadId").call(pid, s.at(0)), tid);
    }

    @Override
    public int cuCheckpointProcessLock(int pid, int timeoutMs) {
        NativeFunction function = function("cuCheckpointProcessLock");
        Scratch args = Scratch.zeroed(library, ARGS_SIZE);
        args.bytes.putInt(0, timeoutMs);
        return function.call(pid, args.at(0));
    }

    @Override
    public int cuCheckpointProcessCheckpoint(int pid) {
        return withoutArguments("cuCheckpointProcessCheckpoint", pid);
    }

    @Override
    public int cuCheckpointProcessRestore(int pid, byte[] gpuPairs) {
        if (gpuPairs.length % GPU_PAIR_SIZE != 0) {
            throw new IllegalArgumentException("GPU pairs of " + gpuPairs.length + " bytes: each has " + GPU_PAIR_SIZE);
        }
        NativeFunction function = function("cuCheckpointProcessRestore");
        Scratch args = Scratch.zeroed(library, ARGS_SIZE + gpuPairs.length);
        if (gpuPairs.length > 0) {
            args.bytes
                    .putLong(0, args.at(ARGS_SIZE))
                    .putInt(8, gpuPairs.length / GPU_PAIR_SIZE)
                    .put(ARGS_SIZE, gpuPairs);
        }
        return args.used(function.call(pid, args.at(0)));
    }

    @Override
    public int cuCheckpointProcessUnlock(int pid) {
        return withoutArguments("cuCheckpointProcessUnlock", pid);
    }

    private int withoutArguments(String name, int pid) {
        NativeFunction function = function(name);
        return function.call(pid, Scratch.zeroed(library, ARGS_SIZE).at(0));
    }
}
