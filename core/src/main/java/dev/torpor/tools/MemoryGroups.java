package dev.torpor.tools;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds the control groups that limit a process's memory: its own of each hierarchy with the controller {@code memory}, and their
 * ancestors. Both versions, wherever the host has mounted them (proc_pid_mountinfo(5)).
 */
final class MemoryGroups {
    private static final String CONTROLLER = "memory";
    private static final int ROOT = 3; // fields of a line of mountinfo
    private static final int POINT = 4;
    private static final int FIRST_OPTIONAL = 6;

    private final ProcFs proc;

    MemoryGroups(ProcFs proc) {
        this.proc = proc;
    }

    /**
     * One group.
     *
     * @param name its path in its hierarchy, as this process sees it
     * @param directory where its files are
     * @param unified whether it is one of version 2
     */
    record Group(String name, Path directory, boolean unified) {}

    private record Membership(String path, boolean unified) {}

    private record Mount(String root, String point, boolean unified) {}

    /** The groups of a process, each once, the innermost first; none if none is seen. */
    List<Group> of(long pid) {
        List<Mount> mounts = mounts(ProcFs.readFile(proc.own("mountinfo")), "");
        Map<String, Group> found = new LinkedHashMap<>();
        for (Membership membership : memberships(proc.cgroups(pid))) {
            if (!find(membership, mounts, found)) { // in another namespace: as the process itself has mounted it
                String root = proc.file(pid, "root").toString();
                find(membership, mounts(ProcFs.readFile(proc.file(pid, "mountinfo")), root), found);
            }
        }
        return List.copyOf(found.values());
    }

    private static boolean find(Membership membership, List<Mount> mounts, Map<String, Group> found) {
        boolean seen = false;
        for (Mount mount : mounts) {
            String below = mount.unified == membership.unified ? below(membership.path, mount.root) : null;
            if (below != null) {
                add(membership, mount, below, found);
                seen = true;
            }
        }
        return seen;
    }

    private static void add(Membership membership, Mount mount, String below, Map<String, Group> found) {
        for (String rest = below; ; rest = rest.substring(0, rest.lastIndexOf('/'))) {
            String name = mount.root.equals("/") && !rest.isEmpty() ? rest : mount.root + rest;
            found.putIfAbsent(
                    (membership.unified ? "2 " : "1 ") + name,
                    new Group(name, Path.of(mount.point + rest), membership.unified));
            if (rest.isEmpty()) {
                return;
            }
        }
    }

    /**
     * The path of a group below a mount's root, with no slash at its end; empty, too, where the mount shows ancestors alone, by a name
     * that is not known; null where it shows none.
     */
    private static @Nullable String below(String group, String root) {
        String path = group;
        String top = root;
        while (goesUp(path) && goesUp(top)) {
            path = path.substring(3);
            top = top.substring(3);
        }
        if (goesUp(path)) {
            return null;
        }
        if (goesUp(top)) {
            return "";
        }
        String prefix = top.equals("/") ? "" : top;
        if (!path.startsWith(prefix)) {
            return null;
        }
        String rest = path.substring(prefix.length());
        return rest.isEmpty() || rest.equals("/") ? "" : rest.startsWith("/") ? rest : null;
    }

    private static boolean goesUp(String path) {
        return path.equals("/..") || path.startsWith("/../");
    }

    /** Lines like {@code 4:cpu,memory:/docker/0123}, or of version 2 {@code 0::/user.slice}. */
    private static List<Membership> memberships(@Nullable String cgroups) {
        List<Membership> memberships = new ArrayList<>();
        for (String line : lines(cgroups)) {
            String[] fields = line.split(":", 3);
            if (fields.length == 3 && fields[2].startsWith("/")) {
                boolean unified = fields[1].isEmpty();
                if (unified || has(fields[1], CONTROLLER)) {
                    memberships.add(new Membership(fields[2], unified));
                }
            }
        }
        return memberships;
    }

    /** Lines like {@code 35 31 0:32 ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS}. */
    private static List<Mount> mounts(@Nullable String mountinfo, String seenBelow) {
        List<Mount> mounts = new ArrayList<>();
        for (String line : lines(mountinfo)) {
            String[] fields = line.split(" ");
            int dash = FIRST_OPTIONAL;
            while (dash < fields.length && !fields[dash].equals("-")) {
                dash++;
            }
            if (dash + 3 < fields.length) {
                boolean unified = fields[dash + 1].equals("cgroup2");
                if (unified || (fields[dash + 1].equals("cgroup") && has(fields[dash + 3], CONTROLLER))) {
                    mounts.add(
                            new Mount(unescaped(fields[ROOT]), point(seenBelow + unescaped(fields[POINT])), unified));
                }
            }
        }
        return mounts;
    }

    private static String point(String path) {
        return path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    }

    private static String[] lines(@Nullable String text) {
        return text == null ? new String[0] : text.split("\n");
    }

    private static boolean has(String list, String wanted) {
        for (String name : list.split(",")) {
            if (name.equals(wanted)) {
                return true;
            }
        }
        return false;
    }

    /** The kernel writes blanks and their like as a backslash and three octal digits. */
    private static String unescaped(String text) {
        int at = text.indexOf('\\');
        if (at < 0) {
            return text;
        }
        StringBuilder plain = new StringBuilder(text.substring(0, at));
        while (at < text.length()) {
            if (text.charAt(at) == '\\' && isOctal(text, at + 1)) {
                plain.append((char) Integer.parseInt(text.substring(at + 1, at + 4), 8));
                at += 4;
            } else {
                plain.append(text.charAt(at++));
            }
        }
        return plain.toString();
    }

    private static boolean isOctal(String text, int from) {
        if (from + 3 > text.length()) {
            return false;
        }
        for (int i = from; i < from + 3; i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '7') {
                return false;
            }
        }
        return true;
    }
}
