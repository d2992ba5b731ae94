package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.tools.ProcFs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Looks for CUDA processes among all of the host's, and asks them all at the same time: one that does not answer delays no other. */
final class ProcessScan {
    /** An idle process answers in microseconds, one in transition at its end. */
    private static final Duration PATIENCE = Duration.ofMillis(500);

    private static final int MOST_THREADS = 16;

    private final Cuda cuda;
    private final CudaDriver driver;
    private final ProcFs proc = new ProcFs();

    ProcessScan(Cuda cuda) {
        this.cuda = cuda;
        this.driver = cuda.driver();
    }

    /** What is known of a process beside its memory. */
    private record Told(ProcessState state, String note) {}

    List<ProcessInfo> run() {
        List<Long> pids = new ArrayList<>();
        int[] tid = new int[1];
        for (long pid : proc.processes()) {
            if (driver.cuCheckpointProcessGetRestoreThreadId((int) pid, tid) == CudaResult.SUCCESS) {
                pids.add(pid);
            }
        }
        Map<Long, Told> told = askAll(pids);
        List<ProcessInfo> found = new ArrayList<>();
        for (long pid : pids) {
            info(pid, Objects.requireNonNull(told.get(pid))).ifPresent(found::add);
        }
        return found;
    }

    private Map<Long, Told> askAll(List<Long> pids) {
        Map<Long, Told> told = new ConcurrentHashMap<>();
        Queue<Long> left = new ConcurrentLinkedQueue<>(pids);
        List<Thread> helpers = new ArrayList<>();
        for (int i = 1; i < Math.min(MOST_THREADS, pids.size()); i++) {
            Thread helper = new Thread(() -> askEach(left, told), "torpor-scan-" + i);
            helper.setDaemon(true);
            helper.start();
            helpers.add(helper);
        }
        askEach(left, told);
        GpuGroup.joinAll(helpers);
        return told;
    }

    private void askEach(Queue<Long> left, Map<Long, Told> told) {
        for (Long pid = left.poll(); pid != null; pid = left.poll()) {
            Told known = new Told(ProcessState.UNKNOWN, "its state cannot be asked for");
            try {
                known = ask(pid);
            } finally {
                told.put(pid, known);
            }
        }
    }

    private Told ask(long pid) {
        String stopped = StoppedProcess.of(proc, pid).reason();
        if (stopped != null) {
            return new Told(ProcessState.UNKNOWN, stopped.substring(0, stopped.indexOf(':')));
        }
        DriverCalls.Answer answer;
        try {
            answer = cuda.calls()
                    .ask(StateQuery.FUNCTION, (int) pid, Optional.of(PATIENCE), new StateQuery(driver, (int) pid));
        } catch (DriverCalls.Overdue e) {
            return new Told(ProcessState.UNKNOWN, "busy with a transition");
        } catch (TorporException e) {
            return new Told(ProcessState.UNKNOWN, "not asked, as too many calls have not returned");
        }
        if (answer.result() != CudaResult.SUCCESS) {
            boolean denied = answer.result() == CudaResult.OPERATING_SYSTEM;
            return new Told(ProcessState.UNKNOWN, denied ? "no permission" : Calls.words(driver, answer.result()));
        }
        ProcessState state = ProcessState.of(answer.value());
        return state.equals(ProcessState.RUNNING) ? askShim(pid) : new Told(state, "");
    }

    /** A parked process runs as far as the driver knows. */
    private Told askShim(long pid) {
        try {
            return new Told(ShimControl.of(proc, pid, proc.startTime(pid)).state(Optional.empty()), "");
        } catch (ShimTrouble | TorporException e) {
            return new Told(ProcessState.RUNNING, "its shim gives no answer that makes sense");
        }
    }

    private Optional<ProcessInfo> info(long pid, Told told) {
        if (proc.startTime(pid) < 0) {
            return Optional.empty();
        }
        DeviceMemory memory = cuda.deviceMemory();
        Map<GpuUuid, Long> held = memory == null ? Map.of() : memory.heldBy(pid);
        return Optional.of(new ProcessInfo(pid, proc.command(pid), told.state, held, told.note));
    }
}
