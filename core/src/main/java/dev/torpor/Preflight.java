package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.mps.Mps;
import dev.torpor.tools.HostMemory;
import dev.torpor.tools.ProcFs;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Everything that is looked at before a process is touched, each with an error of its own. */
final class Preflight {
    private static final Duration DYING = Duration.ofMillis(200);

    private static final Duration POLL = Duration.ofMillis(1);
    /** Kept free beside what a process needs: the driver's own needs differ a little from what NVML reports. */
    private static final long MARGIN = 64L << 20;

    private static final long PARKING_MARGIN = 256L << 20; // the shim's own, in host_memory.c

    private static final Duration QUICKLY = Duration.ofMillis(500);
    private static final Duration REHEARSAL = Duration.ofMillis(100);

    private static final long MAX_PID = 1L << 22; // PID_MAX_LIMIT

    private final Cuda cuda;
    private final CudaDriver driver;
    private final ProcFs proc;
    private final HostMemory hostMemory;
    private final long pid;
    private final long startTime;
    private final @Nullable DeviceMemory deviceMemory;
    private final ShimControl shim;
    private final RestoreCheck restoreCheck;

    private Preflight(Cuda cuda, ProcFs proc, long pid, long startTime) {
        this.cuda = cuda;
        this.driver = cuda.driver();
        this.proc = proc;
        this.hostMemory = new HostMemory(proc);
        this.pid = pid;
        this.startTime = startTime;
        this.deviceMemory = cuda.deviceMemory();
        this.shim = ShimControl.of(proc, pid, startTime);
        this.restoreCheck = new RestoreCheck(proc, pid, startTime, deviceMemory, RestoreRecords.ofHost(proc));
    }

    static Preflight of(Cuda cuda, ProcFs proc, long pid) {
        return new Preflight(cuda, proc, pid, startTime(proc, pid));
    }

    /** @throws TorporException {@link Problem#NO_SUCH_PROCESS}, also for the id of a thread */
    static long startTime(ProcFs proc, long pid) {
        long startTime = pid <= 0 || pid > MAX_PID ? -1 : proc.startTime(pid);
        if (startTime < 0) {
            throw noSuchProcess(pid, "check the pid, `torpor ps` lists the CUDA processes");
        }
        long leader = proc.leader(pid);
        if (leader != pid && leader > 0) {
            throw new TorporException(
                    Problem.NO_SUCH_PROCESS, pid + " is a thread of process " + leader + ": use " + leader + ".");
        }
        return startTime;
    }

    private static TorporException noSuchProcess(long pid, String advice) {
        return new TorporException(Problem.NO_SUCH_PROCESS, "There is no process " + pid + ": " + advice + ".");
    }

    long pid() {
        return pid;
    }

    ProcFs proc() {
        return proc;
    }

    ShimControl shim() {
        return shim;
    }

    /** @throws TorporException {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED} */
    void identify() {
        identify(proc, pid, startTime);
    }

    /** @throws TorporException {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED} */
    static void identify(ProcFs proc, long pid, long startTime) {
        long now = proc.startTime(pid);
        if (now < 0) {
            throw noSuchProcess(pid, "it has ended since this handle was made");
        }
        if (now != startTime) {
            throw new TorporException(
                    Problem.PROCESS_REPLACED,
                    "Process " + pid + " is another one (" + proc.command(pid)
                            + ") than when this handle was made, and was not touched: make a new handle if you mean it.");
        }
    }

    /** Whether the process that the handle means is still there. */
    boolean alive() {
        return proc.startTime(pid) == startTime;
    }

    /** After a step that failed: where the driver no longer finds the process, its last threads may take a moment to go. */
    boolean hasEnded(int result) {
        long deadline = System.nanoTime() + DYING.toNanos();
        while (result == CudaResult.NOT_INITIALIZED && alive() && System.nanoTime() < deadline) {
            LockSupport.parkNanos(POLL.toNanos());
        }
        return !alive();
    }

    /** @throws TorporException as {@link GpuProcess#state(Duration)} */
    ProcessState state(Optional<Duration> limit) {
        checkNotStopped();
        DriverCalls.Answer answer;
        try {
            answer = cuda.calls().ask(StateQuery.FUNCTION, (int) pid, limit, new StateQuery(driver, (int) pid));
        } catch (DriverCalls.Overdue e) {
            throw new TorporException(
                    Problem.UNRESPONSIVE,
                    "The driver did not tell the state of process " + pid + " within " + Phase.text(limit.orElseThrow())
                            + ", as is the case while a transition runs in it: ask again later.");
        }
        if (answer.result() != CudaResult.SUCCESS) {
            throw refused(StateQuery.FUNCTION, answer.result());
        }
        ProcessState now = ProcessState.of(answer.value());
        if (now.equals(ProcessState.RUNNING)) {
            restoreCheck.seenRunning();
        }
        return now;
    }

    /** The driver knows without the process's help whether it has initialised CUDA, and then waits for its answer. */
    private void checkNotStopped() {
        StoppedProcess stopped = StoppedProcess.of(proc, pid);
        if (stopped.reason() != null && usesCuda()) {
            stopped.check();
        }
    }

    private boolean usesCuda() {
        try {
            String function = "cuCheckpointProcessGetRestoreThreadId";
            return cuda.calls()
                            .ask(
                                    function,
                                    (int) pid,
                                    Optional.of(REHEARSAL),
                                    () -> new DriverCalls.Answer(
                                            driver.cuCheckpointProcessGetRestoreThreadId((int) pid, new int[1]), 0))
                            .result()
                    == CudaResult.SUCCESS;
        } catch (DriverCalls.Overdue e) {
            return true;
        }
    }

    /**
     * The driver's state, or the shim's where the driver says that it runs.
     *
     * @throws TorporException as {@link GpuProcess#state(Duration)}
     */
    ProcessState stateOfBoth(Optional<Duration> limit) {
        ProcessState state = state(limit);
        if (!state.equals(ProcessState.RUNNING)) {
            return state;
        }
        try {
            return shim.state(limit);
        } catch (ShimTrouble e) {
            throw ShimFailure.of(proc, pid, "status", e).exception();
        }
    }

    /** What the shim reports, if it is there and answers at once: a suspend that leaves it aside does not depend on it. */
    Optional<ShimStatus> shimStatus() {
        try {
            ShimAnswer answer = shim.exchange("status", Optional.of(QUICKLY));
            return answer.ok() ? Optional.of(shim.status(answer)) : Optional.empty();
        } catch (ShimTrouble | TorporException e) {
            return Optional.empty();
        }
    }

    /** Asks the shim, if it is there, what it is, to no effect but that the classes for it are loaded. */
    void rehearseShim() {
        try {
            shim.exchange("status", Optional.of(REHEARSAL));
        } catch (ShimTrouble e) {
            return; // the real questions will tell
        }
    }

    /** What the driver's refusal to tell about the process means. */
    TorporException refused(String function, int result) {
        String call = function + "(pid " + pid + ") failed: " + Calls.words(driver, result) + ". ";
        if (!alive()) {
            return new TorporException(Problem.NO_SUCH_PROCESS, result, call + "The process has ended.", null);
        }
        if (result == CudaResult.NOT_INITIALIZED) {
            return new TorporException(
                    Problem.NOT_A_CUDA_PROCESS,
                    result,
                    call + "Process " + pid + " (" + proc.command(pid)
                            + ") has not initialised CUDA: `torpor ps` lists those that have.",
                    null);
        }
        if (result == CudaResult.OPERATING_SYSTEM) {
            return new TorporException(Problem.NO_PERMISSION, result, call + runAsItsUser(proc, pid), null);
        }
        return new TorporException(Problem.DRIVER, result, call.strip(), null);
    }

    static String runAsItsUser(ProcFs proc, long pid) {
        return "Process " + pid + " runs as user " + proc.user(pid) + ", and this one as user "
                + proc.user(ProcessHandle.current().pid())
                + ": run as the same user, or as root, in the same pid namespace.";
    }

    /** @throws TorporException {@link Problem#MPS_CLIENT} if NVML tells that the process is one */
    void checkNoMpsClient() {
        if (deviceMemory != null && deviceMemory.isMpsClient(pid)) {
            throw new TorporException(Problem.MPS_CLIENT, mpsSentence() + " It is still running.");
        }
    }

    /** Without NVML's word: its daemon is there, and counts it among its clients, if it can be asked. */
    boolean looksLikeMpsClient() {
        Mps mps = mps();
        try {
            return mps.status().running() && mps.isClient(pid);
        } catch (TorporException e) {
            return true;
        }
    }

    String mpsSentence() {
        Mps mps = mps();
        OptionalLong daemon = mps.status().pid();
        return "Process " + pid + " is a client of the MPS daemon at " + mps.pipeFolder()
                + (daemon.isPresent() ? " (pid " + daemon.getAsLong() + ")" : "")
                + ", and MPS clients cannot be checkpointed: stop it, and start it without MPS, with "
                + Mps.noClientEnvironment().entrySet().iterator().next()
                + " (a keeper makes initialisation as fast).";
    }

    /** The one that it has found at its start. */
    private Mps mps() {
        return Mps.of(name -> proc.environment(pid, name));
    }

    /**
     * Whether the host, and each control group that the process is in, has room for what the process is to keep there.
     *
     * @param parks whether the shim keeps some of it in memory, which takes more beside
     * @throws TorporException {@link Problem#HOST_MEMORY}
     */
    void checkHostMemory(long needed, boolean parks, Claims claims) {
        if (needed <= 0) {
            return;
        }
        long margin = parks ? PARKING_MARGIN : MARGIN;
        for (HostMemory.Limit limit : hostMemory.limits(pid)) {
            long claimed = claims.host(limit.owner(), needed);
            if (claimed > limit.left() - margin) {
                throw new TorporException(
                        Problem.HOST_MEMORY,
                        "Process " + pid + " needs " + Sizes.text(needed)
                                + " of host memory for its device memory" + beside(claimed - needed)
                                + ", and " + Sizes.text(margin) + " more, and " + limit.owner() + " has only "
                                + Sizes.text(limit.left()) + " left: "
                                + (limit.owner().equals(HostMemory.Limit.HOST) ? "free memory" : "raise its limit")
                                + ". The process was not touched.");
            }
        }
    }

    static String beside(long others) {
        return others > 0 ? " beside " + Sizes.text(others) + " for others of the group" : "";
    }

    RestoreCheck restoreCheck() {
        return restoreCheck;
    }

    void readFreeMemory() {
        restoreCheck.rehearse();
        if (deviceMemory != null) {
            for (GpuUuid device : deviceMemory.devices()) {
                deviceMemory.free(device);
            }
        }
    }

    /** The driver wants persistence mode or an initialised caller for a restore. */
    void prepareRestore() {
        if (deviceMemory == null || !deviceMemory.persistent()) {
            cuda.initialize();
        }
    }

    /** @throws TorporException {@link Problem#DEVICE_MAP} */
    DeviceMap completed(DeviceMap map) {
        return map.isSame() ? map : map.completedFor(hostDevices());
    }

    private Set<GpuUuid> hostDevices() {
        if (deviceMemory != null && !deviceMemory.devices().isEmpty()) {
            return deviceMemory.devices();
        }
        Map<GpuUuid, GpuDevice> devices = new LinkedHashMap<>();
        for (GpuDevice device : cuda.devices()) {
            devices.put(device.uuid(), device);
        }
        return devices.keySet();
    }

    Map<GpuUuid, Long> deviceMemory() {
        return deviceMemory == null ? Map.of() : deviceMemory.heldBy(pid);
    }

    static long sum(Map<GpuUuid, Long> held) {
        long sum = 0;
        for (long bytes : held.values()) {
            sum += bytes;
        }
        return sum;
    }
}
