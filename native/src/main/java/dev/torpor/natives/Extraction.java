package dev.torpor.natives;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** Puts a library where nobody else can change it, into the first folder that takes it. */
final class Extraction {
    private static final int TYPE = 0170000; // of the mode, see inode(7)
    private static final int DIRECTORY = 0040000;
    private static final int REGULAR = 0100000;
    private static final int STICKY = 01000;
    private static final int WRITABLE_BY_GROUP_OR_OTHERS = 0022;
    private static final int WRITABLE_BY_OTHERS = 0002;
    private static final int ROOT = 0;
    private static final int NOBODY = 65534; // whoever has no name in this user namespace, such as the host's root

    private final List<Path> candidates;
    private final Mounts mounts;
    private final int user;

    Extraction(List<Path> candidates, Mounts mounts, int user) {
        this.candidates = candidates;
        this.mounts = mounts;
        this.user = user;
    }

    /** The effective user id of this process. */
    static int user() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("Uid:")) {
                return (int) Long.parseLong(line.split("\\s+")[2]);
            }
        }
        throw new IOException("/proc/self/status tells no user");
    }

    /** Type, permissions and owner of a file; links are not followed. */
    private record Inode(int mode, int owner) {
        static Inode of(Path path) throws IOException {
            return new Inode(attribute(path, "unix:mode"), attribute(path, "unix:uid"));
        }

        private static int attribute(Path path, String name) throws IOException {
            return Objects.requireNonNull((Integer) Files.getAttribute(path, name, LinkOption.NOFOLLOW_LINKS));
        }

        String ownerText() {
            return Integer.toUnsignedString(owner);
        }
    }

    /** A reason why a folder cannot be used. */
    private static final class Unfit extends IOException {
        private static final long serialVersionUID = 1;

        Unfit(String reason) {
            super(reason);
        }
    }

    /** @throws UnsatisfiedLinkError if no folder takes it, with the reason of each */
    Path place(String name, byte[] content) {
        StringBuilder reasons = new StringBuilder();
        for (Path candidate : candidates) {
            try {
                return write(folder(candidate), name, content);
            } catch (IOException e) {
                reasons.append(reasons.isEmpty() ? "" : "; ")
                        .append(candidate)
                        .append(": ")
                        .append(reason(e));
            }
        }
        throw new UnsatisfiedLinkError("no folder can take " + name + " (" + reasons + "); let the system property "
                + NativeLibrary.TEMPORARY + " name a folder of yours where programs may be run, or "
                + NativeLibrary.DIRECTORY + " one that holds the library already");
    }

    static String reason(IOException e) {
        if (e instanceof NoSuchFileException) {
            return "there is no such folder";
        }
        return e instanceof AccessDeniedException
                ? "no permission for " + e.getMessage()
                : String.valueOf(e.getMessage());
    }

    private Path folder(Path candidate) throws IOException {
        Path real = candidate.toRealPath();
        String text = real.toString();
        if (text.indexOf(' ') >= 0 || text.indexOf(':') >= 0 || text.indexOf('$') >= 0) {
            throw new Unfit("LD_PRELOAD cannot hold a path with a blank, a colon or a dollar sign");
        }
        for (Path above = real; above != null; above = above.getParent()) {
            checkAbove(above);
        }
        Path folder = real.resolve("torpor-" + Integer.toUnsignedString(user));
        make(folder);
        check(folder);
        String noexec = mounts.noexec(folder);
        if (noexec != null) {
            throw new Unfit(noexec + " is mounted noexec");
        }
        return folder;
    }

    /** Who can rename a folder above ours can put another one in its place. */
    private void checkAbove(Path folder) throws IOException {
        Inode inode = Inode.of(folder);
        if (inode.owner != user && inode.owner != ROOT && inode.owner != NOBODY) {
            throw new Unfit(folder + " belongs to user " + inode.ownerText());
        }
        if ((inode.mode & WRITABLE_BY_OTHERS) != 0 && (inode.mode & STICKY) == 0) {
            throw new Unfit(folder + " can be written by everybody and has no sticky bit");
        }
    }

    private static void make(Path folder) throws IOException {
        try {
            Files.createDirectory(
                    folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } catch (FileAlreadyExistsException e) {
            // Whether it is ours is seen next.
        }
    }

    private void check(Path folder) throws IOException {
        Inode inode = Inode.of(folder);
        if ((inode.mode & TYPE) != DIRECTORY) {
            throw new Unfit(folder + " is not a folder");
        }
        if (inode.owner != user) {
            throw new Unfit(folder + " belongs to user " + inode.ownerText());
        }
        if ((inode.mode & WRITABLE_BY_GROUP_OR_OTHERS) != 0) {
            throw new Unfit(folder + " can be written by others");
        }
    }

    /** A file that is replaced lives on for the programs that have loaded it. */
    private Path write(Path folder, String name, byte[] content) throws IOException {
        Path file = folder.resolve(name);
        if (holds(file, content)) {
            return file;
        }
        Path fresh = folder.resolve("." + name + "." + ProcessHandle.current().pid() + "." + System.nanoTime());
        try {
            fill(fresh, content);
            if (!holds(fresh, content)) {
                throw new Unfit("what is written there reads differently");
            }
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(fresh);
        }
        return file;
    }

    private static void fill(Path file, byte[] content) throws IOException {
        try (SeekableByteChannel channel = Files.newByteChannel(
                file,
                Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            ByteBuffer rest = ByteBuffer.wrap(content);
            while (rest.hasRemaining()) {
                channel.write(rest);
            }
        }
    }

    private boolean holds(Path file, byte[] content) throws IOException {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        Inode inode = Inode.of(file);
        return (inode.mode & TYPE) == REGULAR
                && inode.owner == user
                && (inode.mode & WRITABLE_BY_GROUP_OR_OTHERS) == 0
                && Files.size(file) == content.length
                && Arrays.equals(Files.readAllBytes(file), content);
    }
}
