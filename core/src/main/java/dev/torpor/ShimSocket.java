package dev.torpor;

import dev.torpor.ShimTrouble.Kind;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.ProcFs;
import dev.torpor.tools.SocketFolder;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where the shim of a process listens: the path as the process sees it, followed from its own root, through its own links. The folder
 * may be in {@code /tmp}, where anybody can make one of that name; so folder and socket must be those of the process's user.
 *
 * @param path from here, without links
 * @param seen as the process sees it
 * @param innerPid its pid as it sees it
 */
record ShimSocket(Path path, Path seen, long innerPid) {
    private static final int MOST_LINKS = 40; // as the kernel has it
    private static final String LISTENING = "00010000"; // __SO_ACCEPTCON, in /proc/net/unix
    private static final int FLAGS = 3; // fields there
    private static final int INODE = 6;
    private static final int NAME = 7;

    /** @throws ShimTrouble if it listens nowhere, or somebody else does in its place */
    static ShimSocket of(ProcFs proc, long pid) throws ShimTrouble {
        ShimTrouble trouble = null;
        for (Path folder : folders(proc, pid)) {
            for (String name : SocketFolder.names(proc, pid)) {
                try {
                    ShimSocket found = in(proc, pid, folder, name);
                    if (found != null) {
                        return found;
                    }
                } catch (ShimTrouble e) {
                    trouble = trouble == null ? e : trouble;
                }
            }
        }
        if (trouble != null) {
            throw trouble;
        }
        Path likely = SocketFolder.of(proc, pid).resolve(proc.innermostPid(pid) + ".sock");
        throw new ShimTrouble(Kind.ABSENT, "nothing listens at " + likely);
    }

    /** Null if nothing has that name. */
    private static @Nullable ShimSocket in(ProcFs proc, long pid, Path seenFolder, String name) throws ShimTrouble {
        Path seen = seenFolder.resolve(name);
        Path root = proc.file(pid, "root");
        try {
            Path from = Files.isDirectory(root) ? follow(root, seenFolder) : seenFolder;
            Path path = from.resolve(name);
            PosixFileAttributes socket = attributes(path);
            PosixFileAttributes parent = attributes(from);
            long user = proc.user(pid);
            if (user >= 0) {
                checkOwner(seenFolder, from, parent, user);
                checkOwner(seen, path, socket, user);
            }
            if (!socket.isOther()) {
                throw new ShimTrouble(Kind.ABSENT, seen + " is no socket");
            }
            ShimSocket found = new ShimSocket(path, seen, proc.innermostPid(pid));
            if (!found.isHeldBy(proc, pid)) {
                throw new ShimTrouble(Kind.ABSENT, "another process than it listens at " + seen);
            }
            return found;
        } catch (NoSuchFileException e) {
            return null;
        } catch (AccessDeniedException e) {
            throw new ShimTrouble(Kind.DENIED, seen + " is another user's");
        } catch (IOException e) {
            throw new ShimTrouble(Kind.ABSENT, seen + " cannot be read: " + IoReason.of(e));
        }
    }

    private static List<Path> folders(ProcFs proc, long pid) throws ShimTrouble {
        try {
            return SocketFolder.candidates(proc, pid);
        } catch (InvalidPathException e) {
            throw new ShimTrouble(
                    Kind.ABSENT,
                    "the name of the directory of its socket does not fit the character set: set LC_ALL=C.UTF-8");
        }
    }

    private static PosixFileAttributes attributes(Path file) throws IOException {
        return Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    }

    private static void checkOwner(Path seen, Path file, PosixFileAttributes attributes, long user)
            throws ShimTrouble, IOException {
        Object owner = Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS);
        if (!(owner instanceof Integer uid) || Integer.toUnsignedLong(uid) != user) {
            throw new ShimTrouble(
                    Kind.ABSENT,
                    seen + " belongs to user " + owner + " and not to user " + user + ", whose process it is");
        }
        Set<PosixFilePermission> permissions = attributes.permissions();
        if (attributes.isDirectory()
                && (permissions.contains(PosixFilePermission.OTHERS_WRITE)
                        || permissions.contains(PosixFilePermission.GROUP_WRITE))) {
            throw new ShimTrouble(Kind.ABSENT, "others than its user may write to " + seen);
        }
    }

    /** The kernel would follow an absolute link from the root of the caller. */
    private static Path follow(Path root, Path seen) throws IOException {
        Deque<Path> ahead = new ArrayDeque<>();
        seen.normalize().forEach(ahead::add);
        Path at = Path.of("/");
        for (int links = 0; !ahead.isEmpty(); ) {
            Path name = ahead.pop();
            if (name.toString().equals("..")) {
                at = at.getParent() == null ? at : at.getParent();
                continue;
            }
            Path next = Path.of(root + at.resolve(name).toString());
            if (!Files.isSymbolicLink(next)) {
                at = at.resolve(name);
                continue;
            }
            if (++links > MOST_LINKS) {
                throw new IOException("too many links");
            }
            Path target = Files.readSymbolicLink(next);
            at = target.isAbsolute() ? Path.of("/") : at;
            for (int i = target.getNameCount() - 1; i >= 0; i--) {
                ahead.push(target.getName(i));
            }
        }
        return Path.of(root + at.toString());
    }

    /** Whether the process has a socket that listens under this name; yes also where nobody can tell. */
    private boolean isHeldBy(ProcFs proc, long pid) {
        return holding(proc, pid) != Holding.OTHER;
    }

    /** Whether the kernel says that this socket is the process's own, and not only that the name is right. */
    boolean isCertain(ProcFs proc, long pid) {
        return holding(proc, pid) == Holding.OWN;
    }

    private enum Holding {
        OWN,
        OTHER,
        UNKNOWN
    }

    /** A child that the process has forked may hold the socket of a parent that has ended. */
    private Holding holding(ProcFs proc, long pid) {
        Set<String> listeners = listeners(ProcFs.readFile(proc.file(pid, "net").resolve("unix")));
        if (listeners.isEmpty()) {
            return Holding.UNKNOWN;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(proc.file(pid, "fd"))) {
            for (Path file : files) {
                if (listeners.contains(target(file))) {
                    return Holding.OWN;
                }
            }
            return Holding.OTHER;
        } catch (IOException | DirectoryIteratorException e) {
            return Holding.UNKNOWN;
        }
    }

    private static String target(Path link) {
        try {
            return Files.readSymbolicLink(link).toString();
        } catch (IOException e) {
            return ""; // closed meanwhile
        }
    }

    /** As the links of open files name them. The name is what the process has bound, in whichever way it wrote the folder. */
    private Set<String> listeners(@Nullable String sockets) {
        Set<String> found = new HashSet<>();
        String end = "/" + seen.getFileName();
        for (String line : sockets == null ? new String[0] : sockets.split("\n")) {
            if (line.endsWith(end)) {
                String[] fields = line.strip().split(" +", NAME + 1);
                if (fields.length > NAME && fields[FLAGS].equals(LISTENING)) {
                    found.add("socket:[" + fields[INODE] + "]");
                }
            }
        }
        return found;
    }
}
