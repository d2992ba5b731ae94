package dev.torpor;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpointed process needs on the GPU, as its host memory tells. The driver keeps the contents in one private
 * anonymous mapping, populated when it is made, of the size that NVML reported for the process and about 10 MiB more; so the
 * largest anonymous mapping that is resident throughout is taken for it. A process with a larger one of its own is
 * overestimated, never underestimated.
 */
final class CheckpointBuffer {
    private CheckpointBuffer() {}

    /**
     * @param smaps the text of {@code /proc/PID/smaps}
     * @return bytes; empty if there is no such mapping
     */
    static OptionalLong bytes(@Nullable String smaps) {
        long largest = 0;
        boolean anonymous = false;
        long size = 0;
        for (String line : smaps == null ? new String[0] : smaps.split("\n")) {
            if (isHeader(line)) {
                anonymous = isPrivateAnonymous(line);
            } else if (line.startsWith("Size:")) {
                size = kibibytes(line);
            } else if (anonymous && line.startsWith("Rss:") && kibibytes(line) == size) {
                largest = Math.max(largest, size);
            }
        }
        return largest == 0 ? OptionalLong.empty() : OptionalLong.of(largest * 1024);
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
