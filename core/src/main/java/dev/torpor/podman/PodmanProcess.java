package dev.torpor.podman;

import java.util.ArrayList;
import java.util.List;

/**
 * A process in a container.
 *
 * @param pid of the host, by which the driver and Torpor know it
 * @param containerPid by which it knows itself
 * @param command its command line
 */
public record PodmanProcess(long pid, long containerPid, String command) {
    /** The descriptors of podman-top(1). */
    static final String COLUMNS = "hpid,pid,args";

    /** The lines of {@code podman top} under its heading. */
    static List<PodmanProcess> parse(String table) {
        List<PodmanProcess> processes = new ArrayList<>();
        for (String line : table.lines().skip(1).toList()) {
            String[] fields = line.strip().split("\\s+", 3);
            if (fields.length > 1 && isNumber(fields[0]) && isNumber(fields[1])) {
                processes.add(new PodmanProcess(
                        Long.parseLong(fields[0]), Long.parseLong(fields[1]), fields.length > 2 ? fields[2] : ""));
            }
        }
        return List.copyOf(processes);
    }

    /** A pid has seven digits at most. */
    private static boolean isNumber(String text) {
        return text.matches("[0-9]{1,9}");
    }
}
