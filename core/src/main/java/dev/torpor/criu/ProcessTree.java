package dev.torpor.criu;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongPredicate;

/** The processes of a dump, as {@code pstree.img} has them (images/pstree.proto of CRIU). */
final class ProcessTree {
    private static final int IMG_COMMON_MAGIC = 0x54564319; // criu/include/magic.h
    private static final int PSTREE_MAGIC = 0x50273030;
    private static final int PID = 1;
    private static final ProcFs PROC = new ProcFs();
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(5);

    private ProcessTree() {}

    /**
     * Waits until those of a dump have ended; zombies have.
     *
     * @param root its pid here
     */
    static void awaitEnd(long root, Path images) {
        List<Long> pids = pids(images);
        // In another pid namespace they have other pids than here, but its first process ends as the last.
        await(pids.contains(root) ? pids : List.of(root), pid -> PROC.startTime(pid) >= 0);
    }

    /** Waits until none of the pids that a restore needs belongs to a zombie, which is there until its parent has waited for it. */
    static void awaitZombies(Path images) {
        await(pids(images), ProcessTree::isZombie);
    }

    /** Waits until nothing is left of what a restore that failed had begun to make: of a process that is killed, the pid is taken until it is gone. */
    static void awaitEndOfRestore(Path images, long begin) {
        await(pids(images), pid -> PROC.startTime(pid) >= begin || isZombie(pid));
    }

    private static void await(List<Long> pids, LongPredicate busy) {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (pids.stream().anyMatch(busy::test) && System.nanoTime() < deadline) {
            LockSupport.parkNanos(POLL.toNanos());
        }
    }

    private static boolean isZombie(long pid) {
        try {
            String stat = Files.readString(file(pid, "stat")); // proc(5): pid (command) state
            return stat.startsWith("Z", stat.lastIndexOf(')') + 2);
        } catch (IOException e) {
            return false;
        }
    }

    private static Path file(long pid, String name) {
        return Path.of("/proc", Long.toString(pid), name);
    }

    /** None where the images cannot be read; CRIU says so in its own words. */
    static List<Long> pids(Path images) {
        try {
            byte[] tree = Files.readAllBytes(images.resolve("pstree.img"));
            return Message.ofImage(tree, IMG_COMMON_MAGIC, PSTREE_MAGIC).stream()
                    .map(process -> process.number(PID))
                    .toList();
        } catch (IOException | Message.Malformed e) {
            return List.of();
        }
    }
}
