package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A process with its descendants.
 *
 * @param pids the root first
 * @param gpu those that use CUDA
 */
record Tree(List<Long> pids, List<GpuProcess> gpu) {
    /**
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#NO_PERMISSION};
     *     {@link Problem#NOT_A_CUDA_PROCESS} if none of them uses CUDA; {@link Problem#SNAPSHOT} if it is in a container
     */
    static Tree of(Cuda cuda, long root) {
        ProcessHandle process = ProcessHandle.of(root)
                .orElseThrow(() -> new TorporException(
                        Problem.NO_SUCH_PROCESS, "There is no process " + root + ": `torpor ps` lists those of CUDA."));
        checkNoContainer(root);
        List<Long> pids = Stream.concat(Stream.of(root), process.descendants().map(ProcessHandle::pid))
                .toList();
        List<GpuProcess> gpu = new ArrayList<>();
        for (long pid : pids) {
            using(cuda, pid).ifPresent(gpu::add);
        }
        if (gpu.isEmpty()) {
            throw new TorporException(
                    Problem.NOT_A_CUDA_PROCESS,
                    "Neither process " + root
                            + " nor one of its children uses CUDA: `torpor ps` lists those that do, and the others need CRIU alone.");
        }
        return new Tree(pids, gpu);
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
