package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Finds a process that is stopped: by a signal, by a debugger, or with its cgroup. The threads in it that answer the driver and the shim
 * do not run, so a question or a lock would wait until the process is continued.
 */
final class StoppedProcess {
    /** A tracer such as strace stops the process at each call and lets it go on at once. */
    private static final Duration PASSING = Duration.ofMillis(200);

    private static final Duration POLL = Duration.ofMillis(1);

    private final ProcFs proc;
    private final Path cgroups;
    private final long pid;

    StoppedProcess(ProcFs proc, Path cgroups, long pid) {
        this.proc = proc;
        this.cgroups = cgroups;
        this.pid = pid;
    }

    static StoppedProcess of(ProcFs proc, long pid) {
        return new StoppedProcess(proc, Path.of("/sys/fs/cgroup"), pid);
    }

    /** @throws TorporException {@link Problem#WRONG_STATE} with what continues the process */
    void check() {
        String reason = reason();
        if (reason != null) {
            throw new TorporException(
                    Problem.WRONG_STATE,
                    "Process " + pid + " is " + reason + ", and try again. It was not touched, as it cannot answer.");
        }
    }

    /** How it is stopped and what continues it, for a sentence; null if it runs. */
    @Nullable
    String reason() {
        long start = System.nanoTime();
        String reason = look();
        while (reason != null && System.nanoTime() - start < PASSING.toNanos()) {
            LockSupport.parkNanos(POLL.toNanos());
            reason = look();
        }
        return reason;
    }

    private @Nullable String look() {
        char state = proc.runState(pid);
        if (state == 'T') {
            return "stopped (SIGSTOP): send it SIGCONT (kill -CONT " + pid + ")";
        }
        if (state == 't') {
            long tracer = proc.tracer(pid);
            return "stopped by a debugger" + (tracer > 0 ? " (process " + tracer + ")" : "")
                    + ": let it continue or detach the debugger";
        }
        Path frozen = frozenCgroup();
        return frozen == null ? null : "frozen with its cgroup " + frozen + ": thaw it (" + thaw(frozen) + ")";
    }

    private static String thaw(Path group) {
        return group.endsWith("freezer.state")
                ? "echo THAWED > " + group
                : "echo 0 > " + group.resolve("cgroup.freeze") + ", there or above";
    }

    /** The directory in a v2 tree, or the state file in a v1 tree. */
    private @Nullable Path frozenCgroup() {
        String v2 = proc.cgroup(pid);
        if (v2 != null && v2.startsWith("/") && !v2.startsWith("/..")) {
            Path group = Path.of(cgroups + v2).normalize();
            String events = ProcFs.readFile(group.resolve("cgroup.events"));
            if (events != null && ("\n" + events).contains("\nfrozen 1")) {
                return group;
            }
        }
        String v1 = proc.freezer(pid);
        if (v1 != null && v1.startsWith("/") && !v1.startsWith("/..")) {
            Path file = Path.of(cgroups + "/freezer" + v1).normalize().resolve("freezer.state");
            String state = ProcFs.readFile(file);
            if (state != null && state.startsWith("FR")) { // FROZEN or FREEZING
                return file;
            }
        }
        return null;
    }
}
