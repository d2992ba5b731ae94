package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.tools.ProcFs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Looks for CUDA processes among all of the host's. */
final class ProcessScan {
    /** An idle process answers in microseconds, one in transition at its end. */
    private static final Duration PATIENCE = Duration.ofMillis(500);

    private final Cuda cuda;
    private final CudaDriver driver;
    private final ProcFs proc = new ProcFs();

    ProcessScan(Cuda cuda) {
        this.cuda = cuda;
        this.driver = cuda.driver();
    }

    List<ProcessInfo> run() {
        List<ProcessInfo> found = new ArrayList<>();
        int[] tid = new int[1];
        for (long pid : proc.processes()) {
            if (driver.cuCheckpointProcessGetRestoreThreadId((int) pid, tid) == CudaResult.SUCCESS) {
                describe(pid).ifPresent(found::add);
            }
        }
        return found;
    }

    /** A parked process runs as far as the driver knows. */
    private ProcessState shimState(long pid) throws ShimTrouble {
        ShimControl shim = ShimControl.of(proc, pid, proc.startTime(pid));
        try {
            ShimAnswer answer = shim.exchange("status", Optional.of(PATIENCE));
            return answer.ok() ? shim.status(answer).state() : ProcessState.RUNNING;
        } catch (ShimTrouble e) {
            if (e.kind() == ShimTrouble.Kind.ABSENT || e.kind() == ShimTrouble.Kind.DENIED) {
                return ProcessState.RUNNING;
            }
            throw e;
        }
    }

    private Optional<ProcessInfo> describe(long pid) {
        String stopped = StoppedProcess.of(proc, pid).reason();
        return stopped == null
                ? asked(pid)
                : info(pid, ProcessState.UNKNOWN, stopped.substring(0, stopped.indexOf(':')));
    }

    private Optional<ProcessInfo> asked(long pid) {
        int[] state = {ProcessState.UNKNOWN.code()};
        String note = "";
        try {
            int result = Bounded.call("state-" + pid, Optional.of(PATIENCE), new StateQuery(driver, (int) pid, state));
            if (result == CudaResult.OPERATING_SYSTEM) {
                note = "no permission";
            } else if (result != CudaResult.SUCCESS) {
                note = Calls.words(driver, result);
            }
        } catch (Bounded.Overdue e) {
            state = new int[] {ProcessState.UNKNOWN.code()};
            note = "busy with a transition";
        }
        ProcessState told = ProcessState.of(state[0]);
        if (told.equals(ProcessState.RUNNING)) {
            try {
                told = shimState(pid);
            } catch (ShimTrouble | TorporException e) {
                note = "its shim does not answer";
            }
        }
        return info(pid, told, note);
    }

    private Optional<ProcessInfo> info(long pid, ProcessState state, String note) {
        if (proc.startTime(pid) < 0) {
            return Optional.empty();
        }
        DeviceMemory memory = cuda.deviceMemory();
        Map<GpuUuid, Long> held = memory == null ? Map.of() : memory.heldBy(pid);
        return Optional.of(new ProcessInfo(pid, proc.command(pid), state, held, note));
    }
}
