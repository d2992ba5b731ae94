package dev.torpor.tools;

import java.util.List;
import java.util.Optional;

/**
 * Identifies a process by pid and start time, so that another process that has the pid later is not taken for it.
 *
 * @param startTime in clock ticks since the host's boot, as {@link ProcFs#startTime} reports it
 */
public record ProcessIdentity(long pid, long startTime) {
    private static final ProcFs PROC = new ProcFs();

    /** The process that has a pid now; empty if there is none, or only its zombie. */
    public static Optional<ProcessIdentity> of(long pid) {
        long startTime = PROC.startTime(pid);
        return startTime < 0 ? Optional.empty() : Optional.of(new ProcessIdentity(pid, startTime));
    }

    /** The processes that have these pids now. */
    public static List<ProcessIdentity> allOf(List<Long> pids) {
        return pids.stream().flatMap(pid -> of(pid).stream()).toList();
    }

    /** Whether the process is still there; a zombie is not. */
    public boolean isAlive() {
        return PROC.startTime(pid) == startTime;
    }

    /**
     * Sends SIGKILL, unless the pid belongs to another process by now. The handle is taken before the start time is compared, and checks its
     * own start time again when it kills.
     */
    public void kill() {
        ProcessHandle.of(pid).filter(handle -> isAlive()).ifPresent(ProcessHandle::destroyForcibly);
    }
}
