package dev.torpor.tools;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Tells how much more memory a process can take before the kernel kills a process for it: the rule of "Host memory" in
 * {@code docs/parking.md}, which the shim follows, too.
 */
public final class HostMemory {
    /** Control groups say that they have no limit by {@code max}, or by a number near 2^63. */
    private static final long NO_LIMIT = 1L << 62;

    private final ProcFs proc;
    private final MemoryGroups groups;

    /** What the kernel shows in {@code proc}. */
    public HostMemory(ProcFs proc) {
        this.proc = proc;
        this.groups = new MemoryGroups(proc);
    }

    /**
     * A limit that a process shares with others.
     *
     * @param owner {@link #HOST}, or a control group: equal for all processes that share the limit
     * @param left bytes that can still be taken
     */
    public record Limit(String owner, long left) {
        /** The owner of the host's own limit. */
        public static final String HOST = "the host";
    }

    /** All the limits of a process that are known: the host's, and those of its control groups and their ancestors. */
    public List<Limit> limits(long pid) {
        List<Limit> limits = new ArrayList<>();
        OptionalLong host = proc.availableBytes();
        if (host.isPresent()) {
            limits.add(new Limit(Limit.HOST, host.getAsLong()));
        }
        for (MemoryGroups.Group group : groups.of(pid)) {
            long left = group.unified() ? leftByUnified(group.directory()) : leftByOwn(group.directory());
            if (left != Long.MAX_VALUE) {
                limits.add(new Limit("the control group " + group.name(), left));
            }
        }
        return limits;
    }

    /** In bytes, the least of all limits; empty if none is known. */
    public OptionalLong availableTo(long pid) {
        long least = Long.MAX_VALUE;
        for (Limit limit : limits(pid)) {
            least = Math.min(least, limit.left);
        }
        return least == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(least);
    }

    /** Of what is used, the kernel drops some before it refuses memory. */
    private static long left(long limit, long used, long dropped) {
        return limit >= NO_LIMIT ? Long.MAX_VALUE : Math.max(0, limit - Math.max(0, used - dropped));
    }

    private static long leftByUnified(Path group) {
        long limit = Math.min(number(group, "memory.max", NO_LIMIT), number(group, "memory.high", NO_LIMIT));
        if (limit >= NO_LIMIT) {
            return Long.MAX_VALUE; // without the statistics, which the kernel has to add up
        }
        String stat = ProcFs.readFile(group.resolve("memory.stat"));
        long dropped = statistic(stat, "active_file", 0)
                + statistic(stat, "inactive_file", 0)
                + statistic(stat, "slab_reclaimable", 0);
        return left(limit, number(group, "memory.current", 0), dropped);
    }

    /**
     * Version 1 limits memory and, together with swap, once more; its statistics have the limits of ancestors that are not mounted here,
     * too.
     */
    private static long leftByOwn(Path group) {
        long limit = number(group, "memory.limit_in_bytes", -1);
        if (limit < 0) {
            return Long.MAX_VALUE; // no group of memory
        }
        String stat = ProcFs.readFile(group.resolve("memory.stat"));
        long dropped = statistic(stat, "total_active_file", 0) + statistic(stat, "total_inactive_file", 0);
        long memory = Math.min(limit, statistic(stat, "hierarchical_memory_limit", NO_LIMIT));
        long both = Math.min(
                number(group, "memory.memsw.limit_in_bytes", NO_LIMIT),
                statistic(stat, "hierarchical_memsw_limit", NO_LIMIT));
        return Math.min(
                left(memory, number(group, "memory.usage_in_bytes", 0), dropped),
                left(both, number(group, "memory.memsw.usage_in_bytes", 0), dropped));
    }

    private static long number(Path group, String file, long otherwise) {
        return number(ProcFs.readFile(group.resolve(file)), 0, otherwise);
    }

    /** The number behind a word at the start of a line. */
    private static long statistic(@Nullable String stat, String word, long otherwise) {
        String text = stat == null ? "" : stat;
        for (int at = 0; at >= 0 && at < text.length(); ) {
            if (text.startsWith(word, at) && text.startsWith(" ", at + word.length())) {
                return number(text, at + word.length() + 1, otherwise);
            }
            int end = text.indexOf('\n', at);
            at = end < 0 ? -1 : end + 1;
        }
        return otherwise;
    }

    /** A number too large for a long, which no memory has, is none either. */
    private static long number(@Nullable String text, int from, long otherwise) {
        long number = 0;
        int at = from;
        while (text != null && at < text.length() && Character.isDigit(text.charAt(at))) {
            number = number > NO_LIMIT / 10 ? NO_LIMIT : number * 10 + (text.charAt(at) - '0');
            at++;
        }
        return at == from ? otherwise : number;
    }
}
