package dev.torpor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A file that a process has mapped, by the lines of {@code /proc/PID/maps} that tell of it.
 *
 * @param range of the mapping of its begin, like {@code 7f00-7f01}
 * @param executable whether any part of it is
 * @param path in the mount namespace of the process
 * @param deleted whether another file, or none, has this path now
 */
record Mapping(String range, boolean executable, long inode, String path, boolean deleted) {
    private static final String DELETED = " (deleted)";
    private static final int FIELDS = 6; // range, permissions, offset, device, inode, path
    private static final int PERMISSIONS = 1;
    private static final int OFFSET = 2;
    private static final int INODE = 4;
    private static final int PATH = 5;

    /** The files whose begin is mapped. */
    static List<Mapping> parse(String maps) {
        Map<String, Mapping> found = new LinkedHashMap<>();
        for (String line : maps.split("\n")) {
            String[] fields = line.split(" +", FIELDS);
            if (fields.length == FIELDS && fields[PATH].startsWith("/")) {
                String file = fields[INODE] + fields[PATH];
                Mapping known = found.get(file);
                boolean executable = fields[PERMISSIONS].indexOf('x') >= 0;
                if (known != null) {
                    found.put(file, known.with(executable));
                } else if (fields[OFFSET].matches("0+")) {
                    found.put(file, of(fields, executable));
                }
            }
        }
        return new ArrayList<>(found.values());
    }

    private static Mapping of(String[] fields, boolean executable) {
        String path = fields[PATH];
        boolean deleted = path.endsWith(DELETED);
        return new Mapping(
                fields[0],
                executable,
                Long.parseLong(fields[INODE]),
                deleted ? path.substring(0, path.length() - DELETED.length()) : path,
                deleted);
    }

    private Mapping with(boolean more) {
        return new Mapping(range, executable || more, inode, path, deleted);
    }

    String fileName() {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    long address() {
        return Long.parseUnsignedLong(range.substring(0, range.indexOf('-')), 16);
    }
}
