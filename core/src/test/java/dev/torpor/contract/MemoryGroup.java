package dev.torpor.contract;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Assumptions;

/** A control group with a limit of memory, of the version that this host has. A test that needs one is skipped where none can be made. */
final class MemoryGroup implements AutoCloseable {
    private static final Path VERSION_1 = Path.of("/sys/fs/cgroup/memory");
    private static final Path VERSION_2 = Path.of("/sys/fs/cgroup");

    private final Path directory;

    private MemoryGroup(Path directory) {
        this.directory = directory;
    }

    /** @param limit in MiB, with what processes in it and in groups below it have */
    static MemoryGroup of(int limit) {
        String name = "torpor-test-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
        for (Path top : List.of(VERSION_1, VERSION_2)) {
            MemoryGroup group = new MemoryGroup(top.resolve(name));
            if (group.make()) {
                group.limit(limit);
                return group;
            }
        }
        return Assumptions.abort(
                "needs root, and control groups of memory that it may make under " + VERSION_1 + " or " + VERSION_2);
    }

    /** One within this one. */
    MemoryGroup inner(String name, int limit) {
        if (Files.exists(directory.resolve("cgroup.subtree_control"))) {
            write("cgroup.subtree_control", "+memory");
        }
        MemoryGroup group = new MemoryGroup(directory.resolve(name));
        if (!group.make()) {
            throw new AssertionError(group.directory + " cannot be made");
        }
        group.limit(limit);
        return group;
    }

    /** Whether it is there, and has a limit to set. */
    private boolean make() {
        try {
            Files.createDirectory(directory);
        } catch (IOException e) {
            return false;
        }
        if (Files.isWritable(limitFile())) {
            return true;
        }
        close();
        return false;
    }

    private Path limitFile() {
        Path file = directory.resolve("memory.max");
        return Files.exists(file) ? file : directory.resolve("memory.limit_in_bytes");
    }

    void limit(int mebibytes) {
        write(limitFile().getFileName().toString(), "" + ((long) mebibytes << 20));
    }

    /** What the process takes from now on counts here. */
    void take(Target target) {
        write("cgroup.procs", "" + target.pid());
    }

    private void write(String file, String text) {
        try {
            Files.writeString(directory.resolve(file), text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** After its processes: a group goes when they are gone for good. */
    @Override
    public void close() {
        Awaitility.await("the end of " + directory)
                .atMost(Duration.ofSeconds(30))
                .pollDelay(Duration.ZERO)
                .ignoreExceptions()
                .until(() -> {
                    Files.deleteIfExists(directory);
                    return true;
                });
    }
}
