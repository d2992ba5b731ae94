package dev.torpor;

import dev.torpor.driver.Nvml;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What NVML knows: who holds how much memory on which GPU. Thread-safe. */
final class DeviceMemory {
    private static final int ROOM = 32; // processes on a GPU before the arrays must grow

    private record Device(long handle, GpuUuid uuid) {}

    private final Nvml nvml;
    private final List<Device> devices;

    private DeviceMemory(Nvml nvml, List<Device> devices) {
        this.nvml = nvml;
        this.devices = devices;
    }

    /** @return null if NVML does not initialise or shows no GPU */
    static @Nullable DeviceMemory open(Nvml nvml) {
        if (nvml.nvmlInit_v2() != Nvml.SUCCESS) {
            return null;
        }
        int[] count = new int[1];
        List<Device> devices = new ArrayList<>();
        if (nvml.nvmlDeviceGetCount_v2(count) == Nvml.SUCCESS) {
            for (int i = 0; i < count[0]; i++) {
                Device device = device(nvml, i);
                if (device != null) {
                    devices.add(device);
                }
            }
        }
        return new DeviceMemory(nvml, devices);
    }

    private static @Nullable Device device(Nvml nvml, int index) {
        long[] handle = new long[1];
        byte[] text = new byte[Nvml.UUID_BUFFER_SIZE];
        if (nvml.nvmlDeviceGetHandleByIndex_v2(index, handle) != Nvml.SUCCESS
                || nvml.nvmlDeviceGetUUID(handle[0], text, text.length) != Nvml.SUCCESS) {
            return null;
        }
        int length = 0;
        while (length < text.length && text[length] != 0) {
            length++;
        }
        try {
            return new Device(handle[0], GpuUuid.parse(new String(text, 0, length, StandardCharsets.US_ASCII)));
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    void close() {
        nvml.nvmlShutdown();
    }

    Set<GpuUuid> devices() {
        Set<GpuUuid> uuids = new LinkedHashSet<>();
        for (Device device : devices) {
            uuids.add(device.uuid);
        }
        return uuids;
    }

    /** Free device memory in bytes; empty for a GPU that NVML does not show. */
    OptionalLong free(GpuUuid uuid) {
        long[] memory = new long[3];
        for (Device device : devices) {
            if (device.uuid.equals(uuid) && nvml.nvmlDeviceGetMemoryInfo(device.handle, memory) == Nvml.SUCCESS) {
                return OptionalLong.of(memory[1]);
            }
        }
        return OptionalLong.empty();
    }

    /** Whether every GPU stays initialised without a client. */
    boolean persistent() {
        int[] mode = new int[1];
        for (Device device : devices) {
            if (nvml.nvmlDeviceGetPersistenceMode(device.handle, mode) != Nvml.SUCCESS || mode[0] != 1) {
                return false;
            }
        }
        return !devices.isEmpty();
    }

    /** What a process holds on each GPU, in bytes; GPUs of which it holds nothing, or nothing known, are left out. */
    Map<GpuUuid, Long> heldBy(long pid) {
        Map<GpuUuid, Long> held = new LinkedHashMap<>();
        for (Device device : devices) {
            Processes processes = processes(device, false);
            long bytes = processes.bytes(pid);
            if (bytes > 0) {
                held.put(device.uuid, bytes);
            }
        }
        return held;
    }

    /** Whether NVML lists the process among the clients of an MPS server. */
    boolean isMpsClient(long pid) {
        for (Device device : devices) {
            if (processes(device, true).has(pid)) {
                return true;
            }
        }
        return false;
    }

    /** Some of those who hold memory of a GPU, for a sentence. */
    String holders(GpuUuid uuid) {
        StringBuilder text = new StringBuilder();
        for (Device device : devices) {
            if (device.uuid.equals(uuid)) {
                Processes processes = processes(device, false);
                for (int i = 0; i < Math.min(processes.count, 4); i++) {
                    text.append(text.isEmpty() ? "" : ", ").append("pid ").append(processes.pids[i]);
                    if (processes.used[i] > 0) {
                        text.append(" (").append(Sizes.text(processes.used[i])).append(')');
                    }
                }
            }
        }
        return text.toString();
    }

    private record Processes(int count, int[] pids, long[] used) {
        boolean has(long pid) {
            return indexOf(pid) >= 0;
        }

        long bytes(long pid) {
            int index = indexOf(pid);
            return index < 0 ? 0 : used[index];
        }

        private int indexOf(long pid) {
            for (int i = 0; i < count; i++) {
                if (pids[i] == pid) {
                    return i;
                }
            }
            return -1;
        }
    }

    private Processes processes(Device device, boolean mps) {
        int room = ROOM;
        while (true) {
            int[] count = {room};
            int[] pids = new int[room];
            long[] used = new long[room];
            int result = mps
                    ? nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(device.handle, count, pids, used)
                    : nvml.nvmlDeviceGetComputeRunningProcesses_v3(device.handle, count, pids, used);
            if (result != Nvml.ERROR_INSUFFICIENT_SIZE) {
                return new Processes(result == Nvml.SUCCESS ? Math.min(count[0], room) : 0, pids, used);
            }
            room = Math.max(2 * room, count[0]);
        }
    }
}
