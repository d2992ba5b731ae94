package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whether the driver would lose a process because of what it shares with others. It checkpoints a process that holds device memory of another
 * one, and then refuses each restore of it, while the process that has made the memory is not affected. The shim counts what its process holds.
 * Without the shim only the objects of CUDA IPC in {@code /dev/shm} tell, which a process has mapped as soon as it has opened an event of
 * another process, as PyTorch does with each tensor that it receives.
 */
final class SharingCheck {
    private static final Pattern IPC_OBJECT =
            Pattern.compile("/dev/shm/cuda\\.shm\\.[0-9]+\\.([0-9a-f]{1,8})\\.[0-9a-f]+");
    private static final int HEXADECIMAL = 16;
    private static final String UNTOUCHED =
            " The process was not touched. It can be suspended all the same without the check for shared memory.";

    private SharingCheck() {}

    /**
     * Why a process is not to be checkpointed by the driver; empty if nothing is known against it.
     *
     * @param shim what the shim of the process reports, if it carries one that answers
     */
    static Optional<Failure> refusal(ProcFs proc, long pid, Optional<ShimStatus> shim) {
        Optional<String> reason = shim.isPresent() ? counted(pid, shim.get()) : mapped(proc, pid);
        return reason.map(sentence -> new Failure(Problem.NOT_SUPPORTED, sentence + UNTOUCHED));
    }

    private static Optional<String> counted(long pid, ShimStatus status) {
        if (status.multicasts() > 0) {
            return Optional.of("Process " + pid + " has " + status.multicasts()
                    + " multicast objects (cuMulticastCreate), at which the driver's checkpoint does not end: have the program"
                    + " release them first.");
        }
        if (status.imports() > 0) {
            return Optional.of(
                    "Process " + pid + " imports device memory of other processes (CUDA IPC or shareable handles, "
                            + status.imports()
                            + " in all): the driver would checkpoint it and never restore it. Have the program close what it has opened,"
                            + " or park it.");
        }
        return Optional.empty();
    }

    private static Optional<String> mapped(ProcFs proc, long pid) {
        String maps = proc.maps(pid);
        long self = proc.innermostPid(pid);
        Matcher objects = IPC_OBJECT.matcher(maps == null ? "" : maps);
        while (objects.find()) {
            long maker = Long.parseLong(objects.group(1), HEXADECIMAL);
            if (maker != self) {
                return Optional.of("Process " + pid + " has objects of process " + maker + " open (CUDA IPC, "
                        + objects.group()
                        + "), and so most likely imports its device memory: the driver would checkpoint it"
                        + " and never restore it. Have the program close what it has opened.");
            }
        }
        return Optional.empty();
    }
}
