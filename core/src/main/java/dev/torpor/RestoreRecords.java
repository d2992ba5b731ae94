package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The records that controllers leave of what the processes need that they have suspended, for the next controller: a file for each process
 * in a directory of the controller's user alone. Nothing here ever fails: where no record can be written there is none.
 *
 * <p>A record is believed only if it and its directory belong to root, to the user who asks, or for root to the user of the process, and
 * nobody else may write to them.
 */
final class RestoreRecords {
    /** The system property for another directory than the usual ones. */
    static final String PROPERTY = "torpor.records";

    private static final int LONGEST = 64 << 10;
    private static final Pattern NAME = Pattern.compile("(\\d{1,10})-(\\d{1,18})");
    private static final String NO_NAMESPACE = "0";
    private static final Set<PosixFilePermission> OTHERS_MAY_WRITE =
            EnumSet.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);

    private final ProcFs proc;
    private final Places places;
    private final long user;

    /** Where records may be. */
    interface Places {
        /** Where this user's controllers write and read, the best first. */
        List<Path> of(long user);

        /**
         * Those of the host, or the one that the property {@value #PROPERTY} names. Root's are not in a directory that a user's environment
         * names.
         */
        static Places ofHost() {
            String named = System.getProperty(PROPERTY);
            if (named != null) {
                return owner -> List.of(Path.of(named));
            }
            String runtime = System.getenv("XDG_RUNTIME_DIR");
            return owner -> {
                List<Path> places = new ArrayList<>();
                if (owner == 0) {
                    places.add(Path.of("/run/torpor"));
                    return places;
                }
                if (runtime != null && runtime.startsWith("/") && runtime.indexOf('\0') < 0) {
                    places.add(Path.of(runtime, "torpor"));
                }
                places.add(Path.of("/run/user/" + owner + "/torpor"));
                places.add(Path.of("/tmp/torpor-records-" + owner));
                return places;
            };
        }
    }

    /** @param user who asks, as the owner of files */
    RestoreRecords(ProcFs proc, Places places, long user) {
        this.proc = proc;
        this.places = places;
        this.user = user;
    }

    static RestoreRecords ofHost(ProcFs proc) {
        return new RestoreRecords(
                proc, Places.ofHost(), proc.user(ProcessHandle.current().pid()));
    }

    /** Writes a record, instead of an earlier one of the process, and removes those of processes that are gone. */
    void write(RestoreNeed need) {
        for (Path directory : places.of(user)) {
            if (isOwn(directory) && write(directory, need)) {
                sweep(directory);
                return;
            }
        }
    }

    /** Makes the directory if it is missing. */
    private boolean isOwn(Path directory) {
        try {
            if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
                Files.createDirectory(
                        directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            }
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
        return belongsTo(directory, true, user);
    }

    private boolean write(Path directory, RestoreNeed need) {
        Path temporary = null;
        try {
            temporary = Files.createTempFile(
                    directory,
                    ".new-",
                    "",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.writeString(temporary, need.text());
            Files.move(
                    temporary, directory.resolve(name(need.pid(), need.startTime())), StandardCopyOption.ATOMIC_MOVE);
            return true;
        } catch (IOException | UnsupportedOperationException e) {
            delete(temporary);
            return false;
        }
    }

    /** The process runs, or is about to. */
    void remove(long pid, long startTime) {
        for (Path directory : places.of(user)) {
            if (belongsTo(directory, true, user)) {
                delete(directory.resolve(name(pid, startTime)));
            }
        }
    }

    /**
     * The newest record of a process that can be believed.
     *
     * @param owner the user of the process
     * @return null if there is none
     */
    @Nullable
    RestoreNeed find(long pid, long startTime, long owner) {
        RestoreNeed newest = null;
        FileTime time = FileTime.fromMillis(0);
        for (long writer : user == 0 && owner > 0 ? List.of(0L, owner) : List.of(0L, user)) {
            for (Path directory : places.of(writer)) {
                Path file = directory.resolve(name(pid, startTime));
                if (isBelieved(directory, true, owner) && isBelieved(file, false, owner)) {
                    RestoreNeed need = read(file);
                    FileTime written = modified(file);
                    if (need != null
                            && need.pid() == pid
                            && need.startTime() == startTime
                            && written.compareTo(time) >= 0) {
                        newest = need;
                        time = written;
                    }
                }
            }
        }
        return newest;
    }

    private boolean isBelieved(Path path, boolean directory, long owner) {
        return belongsTo(path, directory, 0)
                || belongsTo(path, directory, user)
                || (user == 0 && belongsTo(path, directory, owner));
    }

    /** Whether it is there, belongs to a user, and nobody else may write to it; a link is nothing of the kind. */
    private static boolean belongsTo(Path path, boolean directory, long owner) {
        try {
            Map<String, Object> facts = Files.readAttributes(path, "unix:uid,permissions", LinkOption.NOFOLLOW_LINKS);
            @SuppressWarnings("unchecked")
            Set<PosixFilePermission> permissions = (Set<PosixFilePermission>) facts.get("permissions");
            boolean kind = directory
                    ? Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)
                    : Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
            return kind
                    && permissions != null
                    && ((Number) facts.getOrDefault("uid", -1)).longValue() == owner
                    && permissions.stream().noneMatch(OTHERS_MAY_WRITE::contains);
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return false;
        }
    }

    private static FileTime modified(Path file) {
        try {
            return Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS);
        } catch (IOException e) {
            return FileTime.fromMillis(0);
        }
    }

    private static @Nullable RestoreNeed read(Path file) {
        try (SeekableByteChannel channel =
                Files.newByteChannel(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            ByteBuffer bytes = ByteBuffer.allocate(LONGEST);
            while (bytes.hasRemaining() && channel.read(bytes) >= 0) {}
            return bytes.hasRemaining()
                    ? RestoreNeed.parse(new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8))
                    : null;
        } catch (IOException | UnsupportedOperationException e) {
            return null;
        }
    }

    /** Of processes that are gone, or whose pid another process has now. */
    private void sweep(Path directory) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String own = namespace() + "-";
                String text = String.valueOf(file.getFileName());
                Matcher name = NAME.matcher(text.startsWith(own) ? text.substring(own.length()) : "");
                if (name.matches() && proc.startTime(Long.parseLong(name.group(1))) != Long.parseLong(name.group(2))) {
                    delete(file);
                }
            }
        } catch (IOException | RuntimeException e) {
            return; // they are ignored all the same
        }
    }

    private static void delete(@Nullable Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            return; // it is ignored once the process runs, as nothing in it fits any more
        }
    }

    /** Controllers in several pid namespaces may share a directory. */
    private String name(long pid, long startTime) {
        return namespace() + "-" + pid + "-" + startTime;
    }

    /** Like {@code 4026531836}. */
    private String namespace() {
        try {
            String link = Files.readSymbolicLink(proc.own("ns/pid")).toString();
            return link.substring(link.indexOf('[') + 1, link.indexOf(']'));
        } catch (IOException | RuntimeException e) {
            return NO_NAMESPACE;
        }
    }
}
