package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.tools.ProcFs;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A process on this host, to suspend and to resume. The handle means the process that had the pid when it was made: it
 * refuses another one that has the pid later. Thread-safe; transitions through one handle come one after the other.
 *
 * <p>Everything is checked before anything is touched. Where a step of a suspend fails, the steps before it are undone, and
 * the process runs on. A resume goes only forward: where it fails, {@link TorporException#report} tells where the process
 * stands, and another resume goes on from there. None of it depends on this JVM: what one controller suspended, another
 * resumes.
 */
public final class GpuProcess {
    private final Cuda cuda;
    private final Preflight preflight;
    private final long pid;
    private final ReentrantLock lock = new ReentrantLock();

    private GpuProcess(Cuda cuda, Preflight preflight, long pid) {
        this.cuda = cuda;
        this.preflight = preflight;
        this.pid = pid;
    }

    static GpuProcess open(Cuda cuda, ProcFs proc, long pid) {
        Preflight preflight = Preflight.of(cuda, proc, pid);
        Transition.rehearse(cuda, preflight);
        return new GpuProcess(cuda, preflight, pid);
    }

    /** Process id. */
    public long pid() {
        return pid;
    }

    /**
     * Asks the driver for the state (cuCheckpointProcessGetState), and where it says that the process runs, the shim in it, if there is
     * one: so {@link ProcessState#PARKED} is an answer, while a process that is checkpointed is that, parked or not. While a transition
     * of the driver runs in the process, the driver answers only at its end; the shim answers at once also while it parks.
     *
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED},
     *     {@link Problem#NOT_A_CUDA_PROCESS}, {@link Problem#NO_PERMISSION}; {@link Problem#WRONG_STATE} if the process is stopped
     *     (SIGSTOP, a debugger, a frozen cgroup) and cannot answer; {@link Problem#UNRESPONSIVE} or {@link Problem#SHIM} if its shim does
     *     not answer, or nothing that makes sense
     */
    public ProcessState state() {
        preflight.identify();
        return preflight.stateOfBoth(Optional.empty());
    }

    /**
     * As {@link #state()}, and gives up after a time. The driver's call then goes on in a daemon thread, which later questions about the
     * process join.
     *
     * @throws TorporException as {@link #state()}, and {@link Problem#UNRESPONSIVE}
     */
    public ProcessState state(Duration limit) {
        preflight.identify();
        return preflight.stateOfBoth(Optional.of(Timeouts.positive(limit)));
    }

    /**
     * The thread in the process that restores it (cuCheckpointProcessGetRestoreThreadId), which CRIU must leave running.
     *
     * @throws TorporException as {@link #state()}
     */
    public long restoreThreadId() {
        preflight.identify();
        CudaDriver driver = cuda.driver();
        int[] tid = new int[1];
        int result = driver.cuCheckpointProcessGetRestoreThreadId((int) pid, tid);
        if (result != CudaResult.SUCCESS) {
            throw preflight.refused("cuCheckpointProcessGetRestoreThreadId", result);
        }
        return tid[0];
    }

    /** What the process holds on each GPU in bytes, as NVML tells; empty when it is checkpointed, and without NVML. */
    public Map<GpuUuid, Long> deviceMemory() {
        return preflight.deviceMemory();
    }

    /**
     * The shim that the process carries, to talk to; empty if it carries none. No driver is asked.
     *
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED}, {@link Problem#NO_PERMISSION}
     */
    public Optional<ShimControl> shim() {
        preflight.identify();
        return new ShimScan(preflight.proc()).of(pid).map(loaded -> preflight.shim());
    }

    /**
     * Suspends a process to {@link Level#CHECKPOINT} with the default options.
     *
     * @throws TorporException as {@link #suspend(Suspend)}
     */
    public Report suspend() {
        return suspend(Suspend.defaults());
    }

    /**
     * Suspends a process: to {@link Level#PARK} one that runs, to {@link Level#CHECKPOINT} one that runs, is parked or is locked. On
     * the way to a checkpoint a running process is parked first, where its shim can do that; {@link Report#driverOnly} says why not.
     *
     * @throws TorporException one that {@link #state()} throws; {@link Problem#WRONG_STATE}; {@link Problem#MPS_CLIENT};
     *     {@link Problem#HOST_MEMORY}; {@link Problem#LOCK_TIMEOUT}; {@link Problem#NOT_SUPPORTED}; {@link Problem#ARENA};
     *     {@link Problem#UNRESPONSIVE}; {@link Problem#SHIM}; {@link Problem#DRIVER}; {@link Problem#NO_SHIM} where it is to be parked
     *     and no shim listens. Unless its report says otherwise, the process runs on.
     */
    public Report suspend(Suspend options) {
        return run(Plan.suspend(options));
    }

    /**
     * Resumes a checkpointed, locked or parked process with the default options.
     *
     * @throws TorporException as {@link #resume(Resume)}
     */
    public Report resume() {
        return resume(Resume.defaults());
    }

    /**
     * Resumes a checkpointed, locked or parked process. Room for all of it is looked for before the driver restores it. Where the unpark
     * at the end fails all the same, the process stays parked, and another resume only unparks.
     *
     * @throws TorporException one that {@link #state()} throws; {@link Problem#WRONG_STATE}; {@link Problem#DEVICE_MEMORY};
     *     {@link Problem#DEVICE_MAP}; {@link Problem#RESTORE_FAILED}; {@link Problem#UNRESPONSIVE}; {@link Problem#SHIM};
     *     {@link Problem#DRIVER}. The report tells the state of the process.
     */
    public Report resume(Resume options) {
        return run(Plan.resume(options));
    }

    /**
     * One step: parks a running process, as a suspend to {@link Level#PARK} does.
     *
     * @throws TorporException as {@link #suspend(Suspend)}
     */
    public Report park() {
        return run(Plan.park(Suspend.to(Level.PARK)));
    }

    /**
     * One step: unparks a parked process that is neither locked nor checkpointed. Where it fails, the process stays parked, and it can be
     * done again.
     *
     * @throws TorporException as {@link #resume(Resume)}, and {@link Problem#NO_SHIM}
     */
    public Report unpark(Resume options) {
        return run(Plan.unpark(options));
    }

    /** As {@link #unpark(Resume)}, with the default options. */
    public Report unpark() {
        return unpark(Resume.defaults());
    }

    /**
     * One step: waits for submitted work, then holds calls back (cuCheckpointProcessLock).
     *
     * @param timeout as for {@link Suspend#lockTimeout(Duration)}
     * @throws TorporException as {@link #suspend(Suspend)}
     */
    public Report lock(Duration timeout) {
        return run(Plan.lock(Suspend.defaults().lockTimeout(timeout)));
    }

    /**
     * One step: moves the device memory of a locked process to the host (cuCheckpointProcessCheckpoint). Where it fails, the
     * process stays locked.
     *
     * @throws TorporException as {@link #suspend(Suspend)}
     */
    public Report checkpoint(Suspend options) {
        return run(Plan.checkpoint(options));
    }

    /** As {@link #checkpoint(Suspend)}, with the default options. */
    public Report checkpoint() {
        return checkpoint(Suspend.defaults());
    }

    /**
     * One step: restores a checkpointed process, and leaves it locked (cuCheckpointProcessRestore).
     *
     * @throws TorporException as {@link #resume(Resume)}
     */
    public Report restore(Resume options) {
        return run(Plan.restore(options));
    }

    /** As {@link #restore(Resume)}, with the default options. */
    public Report restore() {
        return restore(Resume.defaults());
    }

    /**
     * One step: lets the calls of a locked process through again (cuCheckpointProcessUnlock).
     *
     * @throws TorporException as {@link #resume(Resume)}
     */
    public Report unlock() {
        return run(Plan.unlock());
    }

    /** The same transitions, as futures. */
    public AsyncGpuProcess async() {
        return new AsyncGpuProcess(this, null);
    }

    /** The same transitions, as futures; the listener hears of those whose options name no other. */
    public AsyncGpuProcess async(ProgressListener listener) {
        return new AsyncGpuProcess(this, listener);
    }

    ReentrantLock ownLock() {
        return lock;
    }

    Transition transition(Plan plan) {
        return new Transition(cuda, preflight, plan);
    }

    Report run(Plan plan) {
        lock.lock();
        try {
            return transition(plan).run();
        } finally {
            lock.unlock();
        }
    }

    /** Like {@code process 4711}. */
    @Override
    public String toString() {
        return "process " + pid;
    }
}
