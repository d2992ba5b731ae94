package dev.torpor.tools;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** What {@code /proc} tells of processes (proc(5)). Whatever cannot be read is empty, -1 or null, since processes come and go. */
public final class ProcFs {
    private static final int PAGE_BYTES = 4096; // x86-64
    private static final int STATE = 0; // fields of /proc/PID/stat, counted from behind the command
    private static final int PARENT = 1;
    private static final int FLAGS = 6;
    private static final long KERNEL_THREAD = 0x0020_0000; // PF_KTHREAD, include/linux/sched.h
    private static final int START_TIME = 19;
    private static final long SIGKILL = 1L << 8; // signal 9, in a set that begins with signal 1
    private static final int BUFFER_BYTES = 4096;

    private final String root;

    public ProcFs() {
        this("/proc");
    }

    /** For tests: a directory that looks like {@code /proc}. */
    public ProcFs(String root) {
        this.root = root;
    }

    /** When the process was started, in clock ticks since boot; -1 if there is no such process, or only its zombie. */
    public long startTime(long pid) {
        String[] fields = stat(pid);
        return fields == null || fields[STATE].equals("Z") || fields[STATE].equals("X")
                ? -1
                : Long.parseLong(fields[START_TIME]);
    }

    /** The state letter, like {@code R}, {@code S}, or {@code T} for stopped; a blank if there is no such process. */
    public char runState(long pid) {
        String[] fields = stat(pid);
        return fields == null || fields[STATE].isEmpty() ? ' ' : fields[STATE].charAt(0);
    }

    /** The process that traces it; 0 if none does, or it cannot be read. */
    public long tracer(long pid) {
        String status = read(pid, "status");
        String tracer = status == null ? null : line(status, "TracerPid:");
        return tracer == null ? 0 : Long.parseLong(tracer);
    }

    /** The path of the process in the tree of the cgroup v1 controller freezer; null if it has none. */
    @Nullable
    public String freezer(long pid) {
        String cgroups = read(pid, "cgroup");
        int at = cgroups == null ? -1 : cgroups.indexOf(":freezer:");
        if (cgroups == null || at < 0) {
            return null;
        }
        int end = cgroups.indexOf('\n', at);
        return cgroups.substring(at + ":freezer:".length(), end < 0 ? cgroups.length() : end);
    }

    /** The pid of the parent; 0 if it has none here, or it cannot be read. */
    public long parent(long pid) {
        String[] fields = stat(pid);
        return fields == null ? 0 : Long.parseLong(fields[PARENT]);
    }

    /** Whether one process is an ancestor of another one. */
    public boolean isAncestor(long ancestor, long pid) {
        long at = parent(pid);
        while (at > 0 && at != ancestor) {
            at = parent(at);
        }
        return at > 0;
    }

    /** Whether it has no program of its own, but runs in the kernel. */
    public boolean isKernelThread(long pid) {
        String[] fields = stat(pid);
        return fields != null && (Long.parseLong(fields[FLAGS]) & KERNEL_THREAD) != 0;
    }

    /** Since the host's boot, in the clock ticks of {@link #startTime}; 0 if it cannot be read. */
    public long now() {
        String uptime = readFile(Path.of(root, "uptime")); // seconds with two decimals
        return uptime == null
                ? 0
                : new BigDecimal(uptime.substring(0, uptime.indexOf(' ')))
                        .movePointRight(2)
                        .longValue();
    }

    /** Whether it has ended or is about to: it was sent SIGKILL, or has given its memory back. A large one takes seconds for that. */
    public boolean ends(long pid) {
        String status = read(pid, "status");
        String state = status == null ? null : line(status, "State:");
        return status == null
                || state == null
                || state.startsWith("Z")
                || state.startsWith("X")
                || hasKill(status, "SigPnd:")
                || hasKill(status, "ShdPnd:")
                || line(status, "VmRSS:") == null;
    }

    private static boolean hasKill(String status, String pending) {
        String signals = line(status, pending);
        return signals != null && (Long.parseUnsignedLong(signals, 16) & SIGKILL) != 0;
    }

    private String @Nullable [] stat(long pid) {
        String stat = read(pid, "stat");
        int command = stat == null ? -1 : stat.lastIndexOf(')');
        if (stat == null || command < 0) {
            return null;
        }
        String[] fields = stat.substring(command + 2).split(" ");
        return fields.length > START_TIME ? fields : null;
    }

    /** Resident memory in bytes; -1 if it cannot be read. */
    public long residentBytes(long pid) {
        String statm = read(pid, "statm");
        if (statm == null) {
            return -1;
        }
        int from = statm.indexOf(' ') + 1;
        return Long.parseLong(statm.substring(from, statm.indexOf(' ', from))) * PAGE_BYTES;
    }

    /** Resident memory that is no file's on a disk (RssAnon and RssShmem), in bytes; 0 if it cannot be read. */
    public long ownBytes(long pid) {
        String status = read(pid, "status");
        return status == null ? 0 : kibibytes(status, "RssAnon:") + kibibytes(status, "RssShmem:");
    }

    private static long kibibytes(String text, String start) {
        String line = line(text, start);
        return line == null ? 0 : Long.parseLong(line.substring(0, line.indexOf(' '))) << 10;
    }

    /** The process that a thread belongs to, which for a process is itself; -1 if it cannot be read. */
    public long leader(long pid) {
        String status = read(pid, "status");
        String leader = status == null ? null : line(status, "Tgid:");
        return leader == null ? -1 : Long.parseLong(leader);
    }

    /** The effective user id; -1 if it cannot be read. */
    public long user(long pid) {
        String status = read(pid, "status");
        String uids = status == null ? null : line(status, "Uid:");
        return uids == null ? -1 : Long.parseLong(uids.split("\\s+")[1]);
    }

    /** The process id as the process itself sees it, in the innermost of its pid namespaces; the same one if that cannot be read. */
    public long innermostPid(long pid) {
        String status = read(pid, "status");
        String pids = status == null ? null : line(status, "NSpid:");
        return pids == null || pids.isEmpty() ? pid : Long.parseLong(pids.substring(pids.lastIndexOf('\t') + 1));
    }

    /** The number of its pid namespace, the inode of {@code /proc/PID/ns/pid}; -1 if it cannot be read. */
    public long pidNamespace(long pid) {
        try {
            String name = Files.readSymbolicLink(file(pid, "ns/pid")).toString(); // like pid:[4026531836]
            return Long.parseLong(name.substring(name.indexOf('[') + 1, name.indexOf(']')));
        } catch (IOException | RuntimeException e) {
            return -1;
        }
    }

    /** The effective user id as the process itself sees it, in its user namespace; -1 if it cannot be read. */
    public long innermostUser(long pid) {
        long user = user(pid);
        String map = read(pid, "uid_map");
        if (map == null || user < 0 || sameUserNamespace(pid)) {
            return user;
        }
        for (String line : map.strip().split("\n")) { // inside, outside as seen from here, count
            String[] fields = line.strip().split("\\s+");
            long offset = fields.length == 3 ? user - Long.parseLong(fields[1]) : -1;
            if (offset >= 0 && offset < Long.parseLong(fields[2])) {
                return Long.parseLong(fields[0]) + offset;
            }
        }
        return user;
    }

    /** Then the map of users is that of the namespace above, which has nothing to say about numbers that are seen from here. */
    private boolean sameUserNamespace(long pid) {
        try {
            Path mine = Files.readSymbolicLink(Path.of(root, "self/ns/user"));
            return mine.equals(Files.readSymbolicLink(file(pid, "ns/user")));
        } catch (IOException e) {
            return true;
        }
    }

    /** The command line, or the command's name in brackets for a process without one. */
    public String command(long pid) {
        String command = read(pid, "cmdline");
        if (command != null && !command.isEmpty()) {
            return command.replace('\0', ' ').strip();
        }
        String name = read(pid, "comm");
        return name == null ? "" : "[" + name.strip() + "]";
    }

    /** What can be given to new pages without swapping, in bytes (MemAvailable); empty if it cannot be read. */
    public OptionalLong availableBytes() {
        String meminfo = readFile(Path.of(root, "meminfo"));
        String available = meminfo == null ? null : line(meminfo, "MemAvailable:");
        return available == null
                ? OptionalLong.empty()
                : OptionalLong.of(Long.parseLong(available.substring(0, available.indexOf(' '))) * 1024);
    }

    /** The path of the process in the cgroup v2 tree; null if it has none. */
    @Nullable
    public String cgroup(long pid) {
        String cgroups = cgroups(pid);
        return cgroups == null ? null : line(cgroups, "0::");
    }

    /** The text of {@code cgroup}; null if it cannot be read. */
    @Nullable
    public String cgroups(long pid) {
        return read(pid, "cgroup");
    }

    /** A file of this process's own. */
    public Path own(String name) {
        return Path.of(root, "self", name);
    }

    /** Every process, by its number. */
    public List<Long> processes() {
        List<Long> pids = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of(root), "[0-9]*")) {
            for (Path entry : entries) {
                pids.add(Long.parseLong(entry.getFileName().toString()));
            }
        } catch (IOException | DirectoryIteratorException e) {
            return pids;
        }
        pids.sort(null);
        return pids;
    }

    /** The text of {@code smaps}; null if it cannot be read. */
    @Nullable
    public String smaps(long pid) {
        return readFile(Path.of(root, Long.toString(pid), "smaps"));
    }

    /** The text of {@code maps}; null if it cannot be read, which takes the permission to trace the process. */
    @Nullable
    public String maps(long pid) {
        return read(pid, "maps");
    }

    /** A file of a process. */
    public Path file(long pid, String name) {
        return Path.of(root, Long.toString(pid), name);
    }

    /** The value of an environment variable that the process was started with; null if it has none, or it cannot be read. */
    @Nullable
    public String environment(long pid, String name) {
        String environment = read(pid, "environ");
        if (environment == null) {
            return null;
        }
        for (String entry : environment.split("\0")) {
            if (entry.startsWith(name + "=")) {
                return entry.substring(name.length() + 1);
            }
        }
        return null;
    }

    private @Nullable String read(long pid, String file) {
        return readFile(Path.of(root, Long.toString(pid), file));
    }

    /** Files of /proc have no length, so they are read to their end. */
    public static @Nullable String readFile(Path path) {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
            byte[] bytes = new byte[BUFFER_BYTES];
            int length = 0;
            for (int read; (read = file.read(bytes, length, bytes.length - length)) > 0; ) {
                length += read;
                if (length == bytes.length) {
                    bytes = Arrays.copyOf(bytes, 2 * length);
                }
            }
            return new String(bytes, 0, length, StandardCharsets.UTF_8);
        } catch (IOException e) {
            return null;
        }
    }

    private static @Nullable String line(String text, String start) {
        for (int at = 0; at < text.length(); ) {
            int end = text.indexOf('\n', at);
            end = end < 0 ? text.length() : end;
            if (text.startsWith(start, at)) {
                return text.substring(at + start.length(), end).strip();
            }
            at = end + 1;
        }
        return null;
    }
}
