package dev.torpor.tools;

import java.util.Optional;

/**
 * Which processes must not be the root of a dump. CRIU stops the whole tree of the root at once: the tree of process 1 is the host, and a
 * tree that this process belongs to stops the program that waits for the dump.
 */
public final class DumpRoot {
    private static final String UNTOUCHED = " Nothing was touched.";

    private DumpRoot() {}

    /** Why a process cannot be the root, in a sentence with advice; empty if it can. */
    public static Optional<String> refusal(ProcFs proc, long pid) {
        long self = ProcessHandle.current().pid();
        if (pid == self) {
            return Optional.of("Process " + pid + " is this process itself, which cannot save itself: save it from"
                    + " another process." + UNTOUCHED);
        }
        if (pid == 1) {
            return Optional.of("Process 1 is the first of its pid namespace, and every other process in that is one of"
                    + " its descendants: name the process to be saved." + UNTOUCHED);
        }
        if (proc.isKernelThread(pid)) {
            return Optional.of("Process " + pid + " (" + proc.command(pid)
                    + ") is a kernel thread, which cannot be saved: name a process with a program." + UNTOUCHED);
        }
        if (proc.isAncestor(pid, self)) {
            return Optional.of("Process " + pid + " (" + proc.command(pid) + ") is an ancestor of this process (" + self
                    + "), which would be stopped with it: name a process that did not start this one, or start this one"
                    + " elsewhere." + UNTOUCHED);
        }
        return Optional.empty();
    }
}
