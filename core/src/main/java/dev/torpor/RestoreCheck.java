package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Knows what one process needs on which GPU when it is restored, and whether that is free. From the best source there is: the record of
 * the controller that suspended it; the shim in it; the size of the driver's buffer, which does not tell the GPU.
 */
final class RestoreCheck {
    private static final long MARGIN = 64L << 20; // a restore was seen to need 8 to 16 MiB more than NVML had told

    private final ProcFs proc;
    private final long pid;
    private final long startTime;
    private final @Nullable DeviceMemory memory;
    private final RestoreRecords records;
    private volatile @Nullable RestoreNeed remembered; // for where no record can be written
    private @Nullable RestoreNeed begun;
    private @Nullable String mapsBefore;
    private OptionalLong buffersBefore = OptionalLong.empty();

    RestoreCheck(ProcFs proc, long pid, long startTime, @Nullable DeviceMemory memory, RestoreRecords records) {
        this.proc = proc;
        this.pid = pid;
        this.startTime = startTime;
        this.memory = memory;
        this.records = records;
    }

    /**
     * Before a checkpoint: leaves a record at once, since a controller may be killed during it.
     *
     * @param held on each GPU now, as NVML tells
     * @param shim of a parked process, what it has parked on which GPU
     */
    void begin(Map<GpuUuid, Long> held, Optional<ShimStatus> shim) {
        mapsBefore = proc.maps(pid);
        buffersBefore = buffers(shim);
        Map<GpuUuid, Long> bytes = withParked(held, shim);
        RestoreNeed need =
                bytes.isEmpty() ? null : new RestoreNeed(pid, startTime, bytes, Optional.empty(), OptionalLong.empty());
        begun = need;
        remembered = need;
        if (need == null) {
            records.remove(pid, startTime);
        } else {
            records.write(need);
        }
    }

    /** After the checkpoint: adds to the record what tells it from others. */
    void end(Optional<ShimStatus> shim) {
        RestoreNeed need = begun;
        if (need != null) {
            OptionalLong now = buffers(shim);
            boolean given = buffersBefore.isPresent() && now.isPresent() && now.getAsLong() > buffersBefore.getAsLong();
            RestoreNeed identified = need.identifiedBy(
                    CheckpointBuffer.made(mapsBefore, proc.maps(pid)), given ? now : OptionalLong.empty());
            remembered = identified;
            records.write(identified);
        }
        begun = null;
        mapsBefore = null;
    }

    /** The process is not checkpointed any more, or never was. */
    void forget() {
        remembered = null;
        begun = null;
        mapsBefore = null;
        records.remove(pid, startTime);
    }

    /** Another controller may have suspended it since: this handle has seen it running. */
    void seenRunning() {
        remembered = null;
    }

    /** Does to no effect what a check does, so that its classes are loaded before a process waits for it. */
    void rehearse() {
        records.find(pid, startTime, proc.user(pid));
        RestoreNeed need = new RestoreNeed(pid, startTime, Map.of(), Optional.empty(), OptionalLong.empty());
        RestoreNeed.parse(need.text());
        CheckpointBuffer.isThere(proc.maps(pid), "0-0");
    }

    private static OptionalLong buffers(Optional<ShimStatus> shim) {
        return shim.isPresent() ? shim.get().driverBuffers() : OptionalLong.empty();
    }

    /** Parked memory is on no GPU, so NVML does not see it. Empty if nothing tells where it belongs. */
    private static Map<GpuUuid, Long> withParked(Map<GpuUuid, Long> held, Optional<ShimStatus> shim) {
        long parked = shim.isPresent() ? shim.get().parkedBytes() : 0;
        if (parked == 0 || held.isEmpty()) {
            return held;
        }
        Map<GpuUuid, Long> bytes = new LinkedHashMap<>(held);
        Map<GpuUuid, ShimStatus.DeviceBytes> devices = shim.orElseThrow().devices();
        if (!devices.isEmpty()) {
            devices.forEach((gpu, one) -> bytes.merge(gpu, one.parked(), Long::sum));
            return bytes;
        }
        if (held.size() > 1) {
            return Map.of();
        }
        bytes.merge(held.keySet().iterator().next(), parked, Long::sum); // it has a context nowhere else
        return bytes;
    }

    /**
     * Checks that what the process needs is free, for the driver's restore and an unpark behind it.
     *
     * @param shim what it tells, if there is one
     * @param named the GPUs where the process was, if the caller says so
     * @throws TorporException {@link Problem#DEVICE_MEMORY}
     */
    void check(DeviceMap map, Optional<ShimStatus> shim, Set<GpuUuid> named, Claims claims) {
        DeviceMemory nvml = memory;
        if (nvml == null) {
            return;
        }
        Map<GpuUuid, Long> known = recorded(shim);
        if (known.isEmpty()) {
            known = told(shim);
        }
        if (!named.isEmpty()) {
            known = onNamed(named, known, shim);
        }
        if (!known.isEmpty()) {
            known.forEach((gpu, bytes) -> require(nvml, bytes, map.target(gpu), claims, ""));
            return;
        }
        OptionalLong least = inferred(shim);
        if (least.isPresent()) {
            String note = nvml.devices().size() < 2
                    ? ""
                    : " No record tells on which GPUs the process was, and no shim: name those GPUs for the resume.";
            for (GpuUuid gpu : nvml.devices()) {
                require(nvml, least.getAsLong(), map.target(gpu), claims, note);
            }
        }
    }

    private void require(DeviceMemory nvml, long bytes, GpuUuid gpu, Claims claims, String note) {
        OptionalLong free = nvml.free(gpu);
        long claimed = claims.device(gpu, bytes);
        if (bytes > 0 && free.isPresent() && claimed > free.getAsLong() - MARGIN) {
            String holders = nvml.holders(gpu);
            throw new TorporException(
                    Problem.DEVICE_MEMORY,
                    "Process " + pid + " needs " + Sizes.text(bytes) + " on " + gpu
                            + Preflight.beside(claimed - bytes) + ", and " + Sizes.text(free.getAsLong()) + " are free"
                            + (holders.isEmpty() ? "" : " beside " + holders)
                            + ": free device memory first, since a restore that runs out of it is final. The process was not"
                            + " touched and is still checkpointed." + note);
        }
    }

    /** From a record that is about this very suspend; empty if there is none. */
    private Map<GpuUuid, Long> recorded(Optional<ShimStatus> shim) {
        RestoreNeed need = records.find(pid, startTime, proc.user(pid));
        need = need == null ? remembered : need;
        return need != null && fits(need, shim) ? need.bytes() : Map.of();
    }

    /** What was made for another suspend would not be there, and what needs more than the record has must not believe it. */
    private boolean fits(RestoreNeed need, Optional<ShimStatus> shim) {
        OptionalLong now = buffers(shim);
        if (shim.isPresent() && shim.get().parkedBytes() > need.total()) {
            return false;
        }
        if (need.driverBuffers().isPresent() && now.isPresent()) {
            return need.driverBuffers().getAsLong() == now.getAsLong();
        }
        return (need.mapping().isPresent()
                        && CheckpointBuffer.isThere(
                                proc.maps(pid), need.mapping().get()))
                || inferred(shim).orElse(0) <= need.total() + MARGIN;
    }

    /** What the shim tells of each GPU, and on each what the driver has taken that the shim knows nothing of; empty if it tells nothing. */
    private Map<GpuUuid, Long> told(Optional<ShimStatus> shim) {
        Map<GpuUuid, Long> bytes = new LinkedHashMap<>();
        if (shim.isPresent() && !shim.get().devices().isEmpty()) {
            ShimStatus status = shim.get();
            long left = 0;
            for (ShimStatus.DeviceBytes one : status.devices().values()) {
                left += one.left();
            }
            long driver = Math.max(0, Math.max(buffer(shim).orElse(0), status.leftBytes()) - left);
            status.devices().forEach((gpu, one) -> bytes.put(gpu, one.parked() + one.left() + driver));
        }
        return bytes;
    }

    private Map<GpuUuid, Long> onNamed(Set<GpuUuid> named, Map<GpuUuid, Long> known, Optional<ShimStatus> shim) {
        Map<GpuUuid, Long> bytes = new LinkedHashMap<>();
        for (GpuUuid gpu : named) {
            Long one = known.get(gpu);
            bytes.put(gpu, one == null ? inferred(shim).orElse(0) : one);
        }
        return bytes;
    }

    /** On all GPUs together, as the driver's buffer tells, and the shim; empty if nothing does. */
    private OptionalLong inferred(Optional<ShimStatus> shim) {
        OptionalLong buffer = buffer(shim);
        if (shim.isEmpty()) {
            return buffer;
        }
        ShimStatus status = shim.get();
        return OptionalLong.of(status.parkedBytes() + Math.max(buffer.orElse(0), status.leftBytes()));
    }

    private OptionalLong buffer(Optional<ShimStatus> shim) {
        return CheckpointBuffer.bytes(
                proc.smaps(pid), shim.isPresent() ? shim.get().arenaBytes() : 0);
    }
}
