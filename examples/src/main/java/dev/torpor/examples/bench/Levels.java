package dev.torpor.examples.bench;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Phase;
import dev.torpor.Problem;
import dev.torpor.ProcessInfo;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Shim;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuStatistics;
import dev.torpor.podman.Podman;
import dev.torpor.podman.PodmanCheckpoint;
import dev.torpor.podman.PodmanReport;
import dev.torpor.podman.PodmanRestore;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import dev.torpor.tools.TemporaryFolder;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;

/** Suspends and wakes a {@link Subject} at a level, and measures it. */
final class Levels {
    /** One suspend and one wake-up. */
    interface Cycle {
        /**
         * @param variant by which the shim must be there or not, and must have had a part in it
         * @throws TorporException if something fails; the subject may be asleep, or gone
         */
        Map<Measure, Double> run(Subject subject, Variant variant);
    }

    private static final Duration PIDS_FREE = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(5);

    private Levels() {}

    /** Within the host. */
    static Cycle checkpoint(Cuda cuda) {
        return (subject, variant) -> {
            Map<Measure, Double> measured = new EnumMap<>(Measure.class);
            GpuGroup group = GpuGroup.of(gpuProcesses(cuda, subject));
            long down = System.nanoTime();
            List<Report> suspended = group.suspend(Suspend.to(Level.CHECKPOINT));
            measured.put(Measure.SUSPEND, since(down));
            measured.put(Measure.PARK, slowest(suspended, "park"));
            checkParked(suspended, variant);
            long up = System.nanoTime();
            List<Report> resumed = group.resume(Resume.defaults());
            measured.put(Measure.TOTAL, since(up));
            checkShim(resumed, variant);
            putSteps(measured, resumed);
            return measured;
        };
    }

    /** Those of its processes that use CUDA. */
    private static List<GpuProcess> gpuProcesses(Cuda cuda, Subject subject) {
        Set<Long> pids = new HashSet<>();
        ProcessHandle.of(Long.parseLong(subject.id())).ifPresent(root -> {
            pids.add(root.pid());
            root.descendants().forEach(child -> pids.add(child.pid()));
        });
        List<GpuProcess> found = cuda.processes().stream()
                .map(ProcessInfo::pid)
                .filter(pids::contains)
                .map(cuda::process)
                .toList();
        if (found.isEmpty()) {
            throw new TorporException(
                    Problem.NOT_A_CUDA_PROCESS, "Neither " + subject + " nor one of its children uses CUDA.");
        }
        return found;
    }

    /**
     * To disk, by CRIU. Checksums are left out, as what this is compared with makes none.
     *
     * @param cold whether all of it is to be read from the disk
     * @throws TorporException if it cannot be
     */
    static Cycle snapshot(Cuda cuda, Criu criu, Path images, boolean cold) {
        if (cold) {
            SnapshotFiles.checkOnDisk(images);
        }
        return (subject, variant) -> {
            Map<Measure, Double> measured = new EnumMap<>(Measure.class);
            try (TemporaryFolder own = TemporaryFolder.in(images)) {
                Path folder = own.path().resolve("snapshot");
                long down = System.nanoTime();
                SnapshotReport saved = Snapshot.save(
                        cuda,
                        Long.parseLong(subject.id()),
                        folder,
                        Save.defaults().with(criu).checksums(false).durable(cold));
                measured.put(Measure.SUSPEND, since(down));
                measured.put(Measure.PARK, slowest(saved.processes(), "park"));
                measured.put(Measure.DUMP, seconds(saved.phases(), "dump"));
                checkParked(saved.processes(), variant);
                Snapshot snapshot = Snapshot.open(folder);
                SnapshotFiles files = SnapshotFiles.of(snapshot);
                measured.put(Measure.IMAGES, (double) files.imageBytes());
                if (cold) {
                    files.readDirectly().ifPresent(seconds -> measured.put(Measure.DIRECT_READ, seconds));
                    files.leavePageCache();
                }
                awaitFreePids(snapshot);
                long up = System.nanoTime();
                snapshot = Snapshot.open(folder);
                SnapshotReport loaded = snapshot.load(cuda, Load.defaults().with(criu));
                measured.put(Measure.TOTAL, since(up));
                checkShim(loaded.processes(), variant);
                measured.put(Measure.RUNTIME, seconds(loaded.phases(), "restore"));
                put(measured, CriuStatistics.ofRestore(snapshot.images()));
                putSteps(measured, loaded.processes());
            }
            return measured;
        };
    }

    /** As they are after a sleep of more than a moment: an init may let its zombies wait for a second or two. */
    private static void awaitFreePids(Snapshot snapshot) {
        long deadline = System.nanoTime() + PIDS_FREE.toNanos();
        while (snapshot.manifest().processes().stream()
                        .anyMatch(process -> Files.exists(Path.of("/proc", Long.toString(process.pid()))))
                && System.nanoTime() < deadline) {
            LockSupport.parkNanos(POLL.toNanos());
        }
    }

    /** A container, by podman. */
    static Cycle podman(Cuda cuda, Podman podman) {
        return (subject, variant) -> {
            Map<Measure, Double> measured = new EnumMap<>(Measure.class);
            PodmanReport.Checkpoint down = podman.checkpoint(cuda, subject.id(), options(subject, variant));
            measured.put(Measure.SUSPEND, seconds(down.total()));
            measured.put(Measure.PARK, slowest(down.suspended(), "park"));
            checkParked(down.suspended(), variant);
            PodmanReport.Restore up = podman.restore(cuda, subject.id(), PodmanRestore.defaults());
            measured.put(Measure.TOTAL, seconds(up.total()));
            checkShim(up.resumed(), variant);
            measured.put(Measure.RUNTIME, seconds(up.runtime()));
            put(measured, up.criu());
            putSteps(measured, up.resumed());
            subject.store().ifPresent(Levels::empty);
            return measured;
        };
    }

    private static PodmanCheckpoint options(Subject subject, Variant variant) {
        PodmanCheckpoint options = PodmanCheckpoint.defaults();
        return subject.store().isPresent() && variant.parks() ? options.storeAt(ContainerWorkload.STORE) : options;
    }

    /** Of what the checkpoint needed, for the next one. */
    private static void empty(Path store) {
        File[] stored = store.toFile().listFiles();
        for (File folder : stored == null ? new File[0] : stored) {
            try {
                TemporaryFolder.deleteAll(folder.toPath());
            } catch (IOException e) {
                throw new TorporException(Problem.TOOL, folder + " cannot be deleted: " + e);
            }
        }
    }

    private static void put(Map<Measure, Double> measured, CriuStatistics.Restore criu) {
        measured.put(Measure.CRIU, seconds(criu.restore()));
        measured.put(Measure.PAGES, (double) criu.pagesRestored());
    }

    private static void checkParked(List<Report> suspended, Variant variant) {
        if (suspended.isEmpty()) {
            throw new TorporException(Problem.NOT_A_CUDA_PROCESS, "No process in it uses CUDA.");
        }
        for (Report report : suspended) {
            if (variant.parks() && report.driverOnly().isPresent()) {
                throw new TorporException(
                        Problem.NO_SHIM,
                        "Process " + report.pid() + " was not parked: "
                                + report.driverOnly().get() + ".");
            }
        }
    }

    /** A program may be started with the shim by others, and may lose it in a shell that empties its environment. */
    private static void checkShim(List<Report> resumed, Variant variant) {
        boolean wanted = variant.shim().isPresent();
        for (Report report : resumed) {
            if (Shim.of(report.pid()).isPresent() != wanted) {
                throw new TorporException(
                        Problem.NO_SHIM,
                        "Process " + report.pid()
                                + (wanted ? " does not carry the shim." : " carries the shim, and must not."));
            }
        }
    }

    /** Several processes take each step together, so that the slowest counts. */
    private static void putSteps(Map<Measure, Double> measured, List<Report> resumed) {
        measured.put(Measure.DRIVER, slowest(resumed, "restore") + slowest(resumed, "unlock"));
        measured.put(Measure.UNPARK, slowest(resumed, "unpark"));
    }

    private static double slowest(List<Report> reports, String step) {
        return reports.stream()
                .mapToDouble(report -> seconds(report.steps(), step))
                .max()
                .orElse(0);
    }

    private static double seconds(List<Phase> phases, String name) {
        return phases.stream()
                .filter(phase -> phase.name().equals(name))
                .mapToDouble(phase -> seconds(phase.duration()))
                .sum();
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }

    private static double since(long start) {
        return (System.nanoTime() - start) / 1e9;
    }
}
