package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.driver.CudaResult;
import dev.torpor.tools.DumpRoot;
import dev.torpor.tools.ProcFs;
import dev.torpor.tools.ProcessIdentity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A process with its descendants.
 *
 * @param processes the root first
 * @param gpu those that use CUDA
 */
record Tree(List<ProcessIdentity> processes, List<GpuProcess> gpu) {
    /**
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#NO_PERMISSION};
     *     {@link Problem#NOT_A_CUDA_PROCESS} if none of them uses CUDA; {@link Problem#SNAPSHOT} if it is in a container, or
     *     {@link DumpRoot} refuses it
     */
    static Tree of(Cuda cuda, long root) {
        if (ProcessIdentity.of(root).isEmpty()) {
            throw new TorporException(
                    Problem.NO_SUCH_PROCESS, "There is no process " + root + ": `torpor ps` lists those of CUDA.");
        }
        DumpRoot.refusal(Host.PROC, root).ifPresent(sentence -> {
            throw new TorporException(Problem.SNAPSHOT, sentence);
        });
        checkNoContainer(root);
        Tree tree = new Tree(ProcessIdentity.of(root).stream().toList(), List.of()).lookAgain(cuda);
        if (tree.gpu.isEmpty()) {
            throw new TorporException(
                    Problem.NOT_A_CUDA_PROCESS,
                    "Neither process " + root
                            + " nor one of its children uses CUDA: `torpor ps` lists those that do, and the others need CRIU alone.");
        }
        return tree;
    }

    /** The tree as it is now: those that have ended are left out, and those that use CUDA already keep their handles. */
    Tree lookAgain(Cuda cuda) {
        Map<Long, GpuProcess> known = new HashMap<>();
        gpu.forEach(process -> known.put(process.pid(), process));
        List<ProcessIdentity> now = new ArrayList<>();
        List<GpuProcess> using = new ArrayList<>();
        for (long pid : pidsNow()) {
            ProcessIdentity.of(pid).ifPresent(process -> {
                now.add(process);
                if (known.containsKey(pid)) {
                    using.add(known.get(pid));
                } else {
                    using(cuda, pid).ifPresent(using::add);
                }
            });
        }
        return new Tree(now, using);
    }

    private List<Long> pidsNow() {
        long root = root();
        Stream<Long> descendants = ProcessHandle.of(root).stream()
                .flatMap(ProcessHandle::descendants)
                .map(ProcessHandle::pid);
        return Stream.concat(Stream.of(root), descendants).toList();
    }

    long root() {
        return processes.get(0).pid();
    }

    /** The root first. */
    List<Long> pids() {
        return processes.stream().map(ProcessIdentity::pid).toList();
    }

    /** Those that have ended, or are about to. */
    List<Long> ended() {
        return processes.stream()
                .filter(process -> !process.isAlive() || Host.PROC.ends(process.pid()))
                .map(ProcessIdentity::pid)
                .toList();
    }

    /** Those that use CUDA and are not among those of another look that do. */
    List<GpuProcess> gpuBeyond(Tree other) {
        Set<Long> known = other.gpu.stream().map(GpuProcess::pid).collect(Collectors.toSet());
        return gpu.stream().filter(process -> !known.contains(process.pid())).toList();
    }

    /**
     * The name of the thread by which the driver checkpoints a process, which one that does not use CUDA has not; empty if that thread has no name
     * but the process's.
     */
    Optional<String> checkpointThread(Cuda cuda) {
        int[] tid = new int[1];
        for (GpuProcess process : gpu) {
            int pid = Math.toIntExact(process.pid());
            if (cuda.driver().cuCheckpointProcessGetRestoreThreadId(pid, tid) == CudaResult.SUCCESS) {
                String name = ProcFs.readFile(Host.PROC.file(pid, "task/" + tid[0] + "/comm"));
                String own = ProcFs.readFile(Host.PROC.file(pid, "comm"));
                return Optional.ofNullable(name)
                        .filter(text -> !text.equals(own))
                        .map(String::strip);
            }
        }
        return Optional.empty();
    }

    /** CRIU kills the tree of the pid that it is given: that must be the root's still. */
    void checkRoot() {
        if (!processes.get(0).isAlive()) {
            throw new TorporException(
                    Problem.NO_SUCH_PROCESS, "Process " + root() + " has ended, so it cannot be saved.");
        }
    }

    private static Optional<GpuProcess> using(Cuda cuda, long pid) {
        try {
            GpuProcess process = cuda.process(pid);
            process.state();
            return Optional.of(process);
        } catch (TorporException e) {
            if (e.problem() == Problem.NOT_A_CUDA_PROCESS || e.problem() == Problem.NO_SUCH_PROCESS) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** CRIU would want to have its whole pid namespace. */
    private static void checkNoContainer(long pid) {
        try {
            String pids = Files.readAllLines(Path.of("/proc", Long.toString(pid), "status")).stream()
                    .filter(line -> line.startsWith("NSpid:"))
                    .findFirst()
                    .orElse("");
            if (pids.split("\\s+").length > 2) {
                throw new TorporException(
                        Problem.SNAPSHOT,
                        "Process " + pid
                                + " is in a container: `torpor podman checkpoint` saves a container as a whole.");
            }
        } catch (IOException e) {
            return; // gone, as will be seen
        }
    }
}
