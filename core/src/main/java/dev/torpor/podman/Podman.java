package dev.torpor.podman;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.driver.CudaResult;
import dev.torpor.tools.Command;
import dev.torpor.tools.Living;
import dev.torpor.tools.ProcFs;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The program {@code podman}, or one with its command line, run by root: checkpoints containers and restores them with the GPU processes
 * in them (podman-container-checkpoint(1), podman-container-restore(1)). What it does with the driver is what a {@link GpuGroup} does;
 * CRIU comes after that, and its plugins are left out. Immutable and thread-safe; two calls for the same container are the caller's to
 * keep apart.
 */
public final class Podman {
    private static final int MOST_LOOKS = 20;
    private static final ProcFs PROC = new ProcFs();

    private final PodmanCommand command;

    private Podman(PodmanCommand command) {
        this.command = command;
    }

    /**
     * The one in PATH, or else in {@code /usr/bin}.
     *
     * @throws TorporException {@link Problem#TOOL_MISSING} if there is none
     */
    public static Podman find() {
        return at(Command.find("podman", "/usr/bin")
                .orElseThrow(() -> new TorporException(
                        Problem.TOOL_MISSING,
                        "There is no podman in PATH or /usr/bin: install podman 4 and runc, see docs/snapshots.md.")));
    }

    /** The program in a file; whether it is podman shows when it is run. */
    public static Podman at(Path program) {
        return new Podman(new PodmanCommand(program.toAbsolutePath(), null, null));
    }

    /** The OCI runtime ({@code --runtime}): a name or an absolute path. A container that exists has its own. Default: podman's. */
    public Podman runtime(String runtime) {
        return new Podman(new PodmanCommand(command.program(), runtime, command.criu()));
    }

    /** The CRIU that the runtime shall find in PATH. Default: {@link Criu#find()}. */
    public Podman criu(Criu criu) {
        return new Podman(new PodmanCommand(command.program(), command.runtime(), criu));
    }

    /**
     * The arguments of {@code podman run} or {@code podman create} that have a container's program carry the shim: its library mounted
     * read-only, LD_PRELOAD in the place of the image's own, and the settings. The user inside must be allowed to read the file, which
     * {@link Shim#extract} makes for its own user only.
     *
     * @throws IllegalArgumentException if podman could not take the path of the library
     * @throws TorporException {@link Problem#NO_SHIM} if the library is gone
     */
    public static List<String> runArguments(Shim shim, ShimOptions options) {
        return ShimInContainer.arguments(shim, options);
    }

    /**
     * The processes of a running container, as podman tells ({@code podman top}).
     *
     * @param container its name or id
     * @throws TorporException {@link Problem#TOOL} if there is no such container, or it does not run
     */
    public List<PodmanProcess> processes(String container) {
        return processes(Container.running(command, container));
    }

    private List<PodmanProcess> processes(Container container) {
        return PodmanProcess.parse(command.ask(
                "list the processes of container " + container.name(), "top", container.id(), PodmanProcess.COLUMNS));
    }

    /** Those that have initialised CUDA with this driver, and are in such a state. */
    private List<GpuProcess> gpuProcesses(Cuda cuda, Container container, Predicate<ProcessState> wanted) {
        List<GpuProcess> found = new ArrayList<>();
        for (PodmanProcess inside : processes(container)) {
            int pid = Math.toIntExact(inside.pid());
            if (cuda.driver().cuCheckpointProcessGetRestoreThreadId(pid, new int[1]) == CudaResult.SUCCESS) {
                GpuProcess process = cuda.process(pid);
                if (wanted.test(process.state())) {
                    found.add(process);
                }
            }
        }
        return found;
    }

    /**
     * Suspends the GPU processes of a running container, and has podman checkpoint it. Where that fails, and where the container is left
     * running, they are resumed; those that were checkpointed before are left as they are.
     *
     * @param container its name or id
     * @throws TorporException what {@link GpuGroup#suspend} throws, and then nothing has been done; {@link Problem#TOOL} if there is no
     *     such container, it does not run, or podman, its runtime or CRIU fails; {@link Problem#TOOL_MISSING} if there is no CRIU;
     *     {@link Problem#SNAPSHOT} if the archive cannot be written, device memory cannot be stored where it is to be, or this process
     *     is in the container
     */
    public PodmanReport.Checkpoint checkpoint(Cuda cuda, String container, PodmanCheckpoint options) {
        long start = System.nanoTime();
        Criu criu = command.chosenCriu();
        Container found = Container.running(command, container);
        options.checkArchive();
        checkOutside(found);
        List<GpuProcess> awake = new ArrayList<>();
        Stores stores = new Stores();
        List<Report> suspended = suspended(cuda, found, options, stores, awake);
        PodmanStatistics statistics;
        try {
            statistics = command.act(
                    "checkpoint", criu, "checkpoint container " + container, found.log("dump"), options, found.id());
        } catch (RuntimeException e) {
            throw awake.isEmpty() ? e : woken(e, awake, options.resume, stores);
        }
        List<Report> resumed =
                options.leavesRunning() ? together(awake, group -> group.resume(options.resume)) : List.of();
        return new PodmanReport.Checkpoint(
                found.id(),
                suspended,
                statistics.podman(),
                statistics.runtime(),
                statistics.dump(),
                resumed,
                since(start));
    }

    /** The runtime stops all processes of the container, so this one must not be among them, nor one that it descends from. */
    private void checkOutside(Container container) {
        long self = ProcessHandle.current().pid();
        for (PodmanProcess inside : processes(container)) {
            if (inside.pid() == self || PROC.isAncestor(inside.pid(), self)) {
                throw new TorporException(
                        Problem.SNAPSHOT,
                        "This process (" + self + ") is in container " + container.name()
                                + ", and would be stopped with it: checkpoint it from outside. Nothing was touched.");
            }
        }
    }

    /**
     * Suspends the GPU processes, and those that start to use CUDA meanwhile, which CRIU would dump with a live context.
     *
     * @param awake gets those that are to be resumed
     */
    private List<Report> suspended(
            Cuda cuda, Container container, PodmanCheckpoint options, Stores stores, List<GpuProcess> awake) {
        List<Report> reports = new ArrayList<>();
        for (int look = 0; look < MOST_LOOKS; look++) {
            List<GpuProcess> found = gpuProcesses(cuda, container, state -> !state.equals(ProcessState.CHECKPOINTED));
            if (found.isEmpty()) {
                return reports;
            }
            try {
                options.store().ifPresent(folder -> stores.make(container, folder, found));
                reports.addAll(together(
                        found, group -> group.suspend(process -> stores.on(options.suspend(), process))));
                awake.addAll(found);
            } catch (RuntimeException e) {
                stores.delete(found);
                throw awake.isEmpty() ? e : woken(e, awake, options.resume, stores);
            }
        }
        TorporException failure = new TorporException(
                Problem.WRONG_STATE,
                "Container " + container.name() + " starts further processes that use CUDA while it is checkpointed,"
                        + " after " + MOST_LOOKS + " looks still: checkpoint it when all of them have started.");
        throw woken(failure, awake, options.resume, stores);
    }

    private static List<Report> together(List<GpuProcess> processes, Function<GpuGroup, List<Report>> act) {
        return processes.isEmpty() ? List.of() : act.apply(GpuGroup.of(processes));
    }

    private static Duration since(long start) {
        return Duration.ofNanos(System.nanoTime() - start);
    }

    private static TorporException woken(
            RuntimeException failure, List<GpuProcess> awake, Resume options, Stores stores) {
        String end;
        try {
            List<GpuProcess> there = Living.of(awake);
            together(there, group -> group.resume(options));
            stores.delete(there);
            end = (there.isEmpty() ? "" : " Its GPU processes run again.") + Living.others(awake);
        } catch (TorporException e) {
            end = " Its GPU processes could not be resumed: " + e.getMessage();
        }
        Problem problem = failure instanceof TorporException told ? told.problem() : Problem.TOOL;
        return new TorporException(problem, failure.getMessage() + end);
    }

    /**
     * Has podman restore a container from its checkpoint, and resumes the GPU processes in it. As podman then removes the checkpoint, unless
     * it is to {@linkplain PodmanOptions#keep keep} it, the device memory that {@link PodmanCheckpoint#storeAt} has put into a volume goes, too.
     *
     * @param container its name or id
     * @throws TorporException {@link Problem#TOOL} if there is no such container, or podman, its runtime or CRIU fails;
     *     {@link Problem#TOOL_MISSING} if there is no CRIU; what {@link GpuGroup#resume} throws, and then the container runs, with GPU
     *     processes in it that sleep
     */
    public PodmanReport.Restore restore(Cuda cuda, String container, PodmanRestore options) {
        Container found = Container.of(command, container);
        Resume resume = options.keeps() ? options.resume : options.resume.removeStored();
        return restore(cuda, "container " + container, found.log("restore"), options, resume, found.id());
    }

    /**
     * As {@link #restore}, with a container that is made from an exported checkpoint ({@code --import}), which stays.
     *
     * @param archive what {@link PodmanCheckpoint#export} has written
     * @throws TorporException as there, and {@link Problem#SNAPSHOT} if there is no such file
     */
    public PodmanReport.Restore restoreFrom(Cuda cuda, Path archive, PodmanRestore options) {
        Path file = archive.toAbsolutePath();
        if (!Files.isRegularFile(file)) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "There is no file " + file + ": name the archive that the checkpoint was exported to.");
        }
        return restore(cuda, "what is in " + file, null, options, options.resume, "--import", file.toString());
    }

    private PodmanReport.Restore restore(
            Cuda cuda, String what, @Nullable Path log, PodmanRestore options, Resume resume, String... last) {
        long start = System.nanoTime();
        PodmanStatistics statistics =
                command.act("restore", command.chosenCriu(), "restore " + what, log, options, last);
        Container found = Container.running(command, statistics.id());
        List<GpuProcess> asleep = gpuProcesses(cuda, found, state -> !state.equals(ProcessState.RUNNING));
        List<Report> resumed = together(asleep, group -> group.resume(resume));
        Stores.removeEmpty(found, asleep);
        return new PodmanReport.Restore(
                found.id(), statistics.podman(), statistics.runtime(), statistics.restored(), resumed, since(start));
    }

    /** Like {@code podman at /usr/bin/podman}. */
    @Override
    public String toString() {
        return "podman at " + command.program();
    }
}
