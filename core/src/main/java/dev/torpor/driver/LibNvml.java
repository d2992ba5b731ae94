package dev.torpor.driver;

import java.util.Objects;

/** NVML in a library that a binding has loaded. */
public final class LibNvml implements Nvml {
    /** {@code nvmlProcessInfo_t}: the pid, at 8 the memory, then the ids of a MIG instance. */
    private static final int PROCESS_SIZE = 24;

    private static final int PROCESS_MEMORY = 8;

    private final LoadedLibrary library;
    private final Functions functions;

    public LibNvml(LoadedLibrary library) {
        this.library = library;
        functions = new Functions(library, ERROR_FUNCTION_NOT_FOUND);
    }

    private Scratch scratch() {
        return Scratch.of(library);
    }

    @Override
    public int nvmlInit_v2() {
        return functions.get("nvmlInit_v2").call();
    }

    @Override
    public int nvmlShutdown() {
        return functions.get("nvmlShutdown").call();
    }

    @Override
    public String nvmlErrorString(int result) {
        long text = functions.get("nvmlErrorString").pointer(result);
        return text == 0 ? "nvmlReturn_t " + result : library.text(text);
    }

    @Override
    public int nvmlDeviceGetCount_v2(int[] count) {
        Scratch s = scratch();
        return s.give(functions.get("nvmlDeviceGetCount_v2").call(s.at(0)), count);
    }

    @Override
    public int nvmlDeviceGetHandleByIndex_v2(int index, long[] device) {
        Scratch s = scratch();
        return s.give(functions.get("nvmlDeviceGetHandleByIndex_v2").call(index, s.at(0)), device);
    }

    @Override
    public int nvmlDeviceGetUUID(long device, byte[] uuid, int length) {
        Objects.checkFromIndexSize(0, length, uuid.length);
        Scratch s = Scratch.zeroed(library, length);
        return s.give(functions.get("nvmlDeviceGetUUID").call(device, s.at(0), length), uuid, length);
    }

    @Override
    public int nvmlDeviceGetMemoryInfo(long device, long[] memory) {
        Scratch s = scratch();
        int result = functions.get("nvmlDeviceGetMemoryInfo").call(device, s.at(0));
        if (result == SUCCESS) {
            for (int i = 0; i < 3; i++) {
                memory[i] = s.bytes.getLong(Long.BYTES * i);
            }
        }
        return result;
    }

    @Override
    public int nvmlDeviceGetPersistenceMode(long device, int[] mode) {
        Scratch s = scratch();
        return s.give(functions.get("nvmlDeviceGetPersistenceMode").call(device, s.at(0)), mode);
    }

    @Override
    public int nvmlDeviceGetComputeRunningProcesses_v3(long device, int[] infoCount, int[] pids, long[] usedGpuMemory) {
        return processes("nvmlDeviceGetComputeRunningProcesses_v3", device, infoCount, pids, usedGpuMemory);
    }

    @Override
    public int nvmlDeviceGetMPSComputeRunningProcesses_v3(
            long device, int[] infoCount, int[] pids, long[] usedGpuMemory) {
        return processes("nvmlDeviceGetMPSComputeRunningProcesses_v3", device, infoCount, pids, usedGpuMemory);
    }

    private int processes(String name, long device, int[] infoCount, int[] pids, long[] usedGpuMemory) {
        int room = infoCount[0];
        Objects.checkFromIndexSize(0, room, Math.min(pids.length, usedGpuMemory.length));
        NativeFunction function = functions.get(name);
        int infos = Long.BYTES;
        Scratch s = Scratch.zeroed(library, infos + PROCESS_SIZE * room);
        s.bytes.putInt(0, room);
        int result = function.call(device, s.at(0), s.at(infos));
        if (result == SUCCESS || result == ERROR_INSUFFICIENT_SIZE) {
            infoCount[0] = s.bytes.getInt(0);
        }
        for (int i = 0; result == SUCCESS && i < Math.min(room, infoCount[0]); i++) {
            pids[i] = s.bytes.getInt(infos + PROCESS_SIZE * i);
            usedGpuMemory[i] = s.bytes.getLong(infos + PROCESS_SIZE * i + PROCESS_MEMORY);
        }
        return s.used(result);
    }
}
