package dev.torpor.tools;

import java.nio.file.Path;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** How much more memory a process can take: what the host has available, and what the limits of its cgroups (v2) leave. */
public final class HostMemory {
    private final ProcFs proc;
    private final Path cgroups;

    public HostMemory(ProcFs proc, Path cgroups) {
        this.proc = proc;
        this.cgroups = cgroups;
    }

    /** In bytes; empty if nothing tells. */
    public OptionalLong availableTo(long pid) {
        OptionalLong host = proc.availableBytes();
        long limit = leftByCgroups(pid);
        return host.isEmpty() && limit == Long.MAX_VALUE
                ? OptionalLong.empty()
                : OptionalLong.of(Math.min(host.orElse(Long.MAX_VALUE), limit));
    }

    private long leftByCgroups(long pid) {
        String path = proc.cgroup(pid);
        long left = Long.MAX_VALUE;
        if (path == null) {
            return left;
        }
        Path top = cgroups.normalize();
        for (Path group = Path.of(top + "/" + path).normalize();
                group != null && group.startsWith(top);
                group = group.getParent()) {
            left = Math.min(left, leftBy(group));
        }
        return left;
    }

    private static long leftBy(Path group) {
        long limit = number(ProcFs.readFile(group.resolve("memory.max")));
        if (limit < 0) {
            return Long.MAX_VALUE; // without looking at the statistics, which the kernel has to add up
        }
        long current = number(ProcFs.readFile(group.resolve("memory.current")));
        return current < 0 ? Long.MAX_VALUE : Math.max(0, limit - current + reclaimable(group));
    }

    /** File pages that the kernel drops before it refuses memory. */
    private static long reclaimable(Path group) {
        String stat = ProcFs.readFile(group.resolve("memory.stat"));
        int at = stat == null ? -1 : stat.indexOf("\ninactive_file ");
        if (stat == null || at < 0) {
            return 0;
        }
        int from = at + "\ninactive_file ".length();
        int end = stat.indexOf('\n', from);
        return Math.max(0, number(stat.substring(from, end < 0 ? stat.length() : end)));
    }

    /** -1 for no number, {@code max} among them. */
    private static long number(@Nullable String text) {
        String digits = text == null ? "" : text.strip();
        if (digits.isEmpty() || !Character.isDigit(digits.charAt(0))) {
            return -1;
        }
        return Long.parseLong(digits);
    }
}
