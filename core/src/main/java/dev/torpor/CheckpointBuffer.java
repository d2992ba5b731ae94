package dev.torpor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpointed process needs on the GPU, as its host memory tells. The driver keeps the contents in one private
 * anonymous mapping, populated when it is made, of the size that NVML reported for the process and about 10 MiB more; so the
 * largest anonymous mapping that is resident throughout is taken for it. A process with a larger one of its own is
 * overestimated, never underestimated. The shim's arena is no buffer of the driver's: where one such mapping can hold it, alone or
 * merged with others, its size is taken off that one.
 */
final class CheckpointBuffer {
    private static final long LEAST = 1 << 20;

    private CheckpointBuffer() {}

    /**
     * @param smaps the text of {@code /proc/PID/smaps}
     * @param arena bytes of the shim's arena
     * @return bytes; empty if there is no such mapping
     */
    static OptionalLong bytes(@Nullable String smaps, long arena) {
        List<Long> resident = new ArrayList<>();
        boolean anonymous = false;
        long size = 0;
        for (String line : smaps == null ? new String[0] : smaps.split("\n")) {
            if (isHeader(line)) {
                anonymous = isPrivateAnonymous(line);
            } else if (line.startsWith("Size:")) {
                size = kibibytes(line) * 1024;
            } else if (anonymous && line.startsWith("Rss:") && kibibytes(line) * 1024 == size) {
                resident.add(size);
            }
        }
        takeOff(resident, arena);
        return resident.stream()
                .mapToLong(Long::longValue)
                .filter(bytes -> bytes > 0)
                .max();
    }

    /**
     * The largest mapping of that kind that was made meanwhile.
     *
     * @param before the text of {@code /proc/PID/maps} before the checkpoint
     * @param after likewise after it
     * @return its address range; empty if there is none of at least 1 MiB, or one of the texts is missing
     */
    static Optional<String> made(@Nullable String before, @Nullable String after) {
        if (before == null || after == null) {
            return Optional.empty();
        }
        Set<String> old = new HashSet<>();
        for (String line : before.split("\n")) {
            old.add(range(line));
        }
        String largest = null;
        long most = LEAST - 1;
        for (String line : after.split("\n")) {
            String range = range(line);
            if (!old.contains(range) && isHeader(line) && isPrivateAnonymous(line) && size(range) > most) {
                largest = range;
                most = size(range);
            }
        }
        return Optional.ofNullable(largest);
    }

    /** Whether there is a mapping of that kind with exactly this range. */
    static boolean isThere(@Nullable String maps, String range) {
        int at = maps == null ? -1 : ("\n" + maps).indexOf("\n" + range + " ");
        if (maps == null || at < 0) {
            return false;
        }
        int end = maps.indexOf('\n', at);
        return isPrivateAnonymous(maps.substring(at, end < 0 ? maps.length() : end));
    }

    private static String range(String line) {
        int blank = line.indexOf(' ');
        return blank < 0 ? line : line.substring(0, blank);
    }

    private static long size(String range) {
        int dash = range.indexOf('-');
        try {
            return Long.parseUnsignedLong(range.substring(dash + 1), 16)
                    - Long.parseUnsignedLong(range.substring(0, dash), 16);
        } catch (IllegalArgumentException e) {
            return 0;
        }
    }

    /** Off the smallest that can hold it; off none if none can. */
    private static void takeOff(List<Long> resident, long arena) {
        int smallest = -1;
        for (int i = 0; i < resident.size(); i++) {
            long bytes = resident.get(i);
            if (bytes >= arena && (smallest < 0 || bytes < resident.get(smallest))) {
                smallest = i;
            }
        }
        if (smallest >= 0) {
            resident.set(smallest, resident.get(smallest) - arena);
        }
    }

    /** A header begins with an address range, other lines with a capitalised name and a colon. */
    private static boolean isHeader(String line) {
        int dash = line.indexOf('-');
        int blank = line.indexOf(' ');
        return dash > 0 && blank > dash && line.indexOf(':') > blank;
    }

    /** Like {@code 7f30-7f40 rw-p 00000000 00:00 0}, with no name behind. */
    private static boolean isPrivateAnonymous(String header) {
        String[] fields = header.strip().split("\\s+");
        return fields.length == 5 && fields[1].equals("rw-p") && fields[4].equals("0");
    }

    private static long kibibytes(String line) {
        String[] fields = line.split("\\s+");
        return Long.parseLong(fields[1]);
    }
}
