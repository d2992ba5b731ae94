package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.GpuDevice;
import dev.torpor.GpuProcess;
import dev.torpor.GpuUuid;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Shim;
import dev.torpor.ShimControl;
import dev.torpor.ShimStatus;
import dev.torpor.TorporException;
import dev.torpor.snapshot.Manifest.Gpu;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.tools.SocketFolder;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What is known of the processes before anything is done to them. */
final class Description {
    private final Cuda cuda;
    private final boolean parking;
    private final Map<Long, ProcessState> states = new HashMap<>();
    private final Map<Long, ShimStatus> shims = new HashMap<>();
    private final Map<Long, Map<GpuUuid, Long>> held = new LinkedHashMap<>();

    Description(Cuda cuda, boolean parking) {
        this.cuda = cuda;
        this.parking = parking;
    }

    /**
     * Looks at processes that have not been touched yet.
     *
     * @throws TorporException {@link Problem#WRONG_STATE} if one of them is not in a state from which it can be saved
     */
    void include(List<GpuProcess> processes) {
        for (GpuProcess process : processes) {
            ProcessState state = process.state();
            checkState(process, state);
            states.put(process.pid(), state);
            held.put(process.pid(), process.deviceMemory());
            if (parking) {
                status(process).ifPresent(status -> shims.put(process.pid(), status));
            }
        }
    }

    /** Of one whose shim listens; a suspend will find out what is wrong with another. */
    private static Optional<ShimStatus> status(GpuProcess process) {
        try {
            return process.shim().map(ShimControl::status);
        } catch (TorporException e) {
            return Optional.empty();
        }
    }

    ProcessState stateBefore(GpuProcess process) {
        return states.getOrDefault(process.pid(), ProcessState.UNKNOWN);
    }

    /** Whether its device memory gets into files of its own. */
    boolean stores(GpuProcess process) {
        return parking
                && shims.containsKey(process.pid())
                && stateBefore(process).equals(ProcessState.RUNNING);
    }

    /**
     * Bytes that the snapshot will have at most: what is not used of its memory CRIU leaves out. The host memory that a shim keeps for
     * the next park is given up before.
     */
    long bytes(Tree tree) {
        long sum = 0;
        for (long pid : tree.pids()) {
            sum += Host.PROC.ownBytes(pid);
        }
        for (GpuProcess process : tree.gpu()) {
            sum += heldBy(process);
            sum -= stores(process) ? arenaBytes(process) : 0;
        }
        return sum;
    }

    private long arenaBytes(GpuProcess process) {
        ShimStatus status = shims.get(process.pid());
        return status == null ? 0 : status.arenaBytes();
    }

    private long heldBy(GpuProcess process) {
        Map<GpuUuid, Long> memory = held.getOrDefault(process.pid(), Map.of());
        return memory.values().stream().mapToLong(Long::longValue).sum();
    }

    Manifest manifest(Tree tree, Folder folder) {
        return new Manifest(
                Manifest.FORMAT,
                Instant.now().toString(),
                false,
                cuda.simulated(),
                Host.kernel(),
                Host.driver(cuda, tree.gpu().get(0).pid()),
                gpus(),
                members(tree, folder),
                List.of(),
                Map.of());
    }

    /** What is parked already may be any GPU's; where there are several, only the driver can say whether it has room. */
    private List<Gpu> gpus() {
        Map<GpuUuid, Long> sums = new LinkedHashMap<>();
        held.values().forEach(memory -> memory.forEach((uuid, bytes) -> sums.merge(uuid, bytes, Long::sum)));
        List<Gpu> gpus = new ArrayList<>();
        for (GpuDevice device : cuda.devices()) {
            if (sums.containsKey(device.uuid())) {
                gpus.add(new Gpu(device.uuid().toString(), device.name(), sums.get(device.uuid())));
            }
        }
        return gpus;
    }

    private List<Member> members(Tree tree, Folder folder) {
        Map<Long, GpuProcess> gpu = new HashMap<>();
        tree.gpu().forEach(process -> gpu.put(process.pid(), process));
        List<Member> members = new ArrayList<>();
        for (long pid : tree.pids()) {
            members.add(member(folder, pid, Optional.ofNullable(gpu.get(pid))));
        }
        return members;
    }

    private Member member(Folder folder, long pid, Optional<GpuProcess> gpu) {
        Optional<Shim.Loaded> shim = gpu.flatMap(GpuProcess::shim).map(ShimControl::loaded);
        long user = Host.PROC.user(pid);
        return new Member(
                pid,
                Host.PROC.command(pid),
                gpu.isPresent(),
                gpu.map(this::stateBefore).map(ProcessState::toString).orElse(""),
                shim.map(Shim.Loaded::version).orElse(""),
                shim.map(loaded -> loaded.library().toString()).orElse(""),
                shim.isEmpty() ? "" : SocketFolder.of(Host.PROC, pid).toString(),
                user,
                gpu.filter(this::stores)
                        .map(process -> name(folder, folder.deviceMemory(pid, user)))
                        .orElse(""));
    }

    private static String name(Folder folder, Path file) {
        return folder.path().relativize(file).toString();
    }

    private static void checkState(GpuProcess process, ProcessState state) {
        if (!List.of(ProcessState.RUNNING, ProcessState.PARKED, ProcessState.CHECKPOINTED)
                .contains(state)) {
            throw new TorporException(
                    Problem.WRONG_STATE,
                    "Process " + process.pid() + " is " + state
                            + ", and a save begins with one that is running, parked or checkpointed: resume it first.");
        }
    }
}
