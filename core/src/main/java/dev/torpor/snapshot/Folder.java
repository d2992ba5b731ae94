package dev.torpor.snapshot;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.OwnedFolder;
import dev.torpor.tools.TemporaryFolder;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * The folder of a snapshot. It is finished when its manifest has its name, which it gets when everything else is there; until then, and
 * for ever if the save is cut off, it is called {@code manifest.json.partial}.
 */
record Folder(Path path) {
    private static final String MANIFEST = "manifest.json";
    private static final String PARTIAL = MANIFEST + ".partial";
    private static final String IMAGES = "criu";
    private static final String DEVICE_MEMORY = "device-memory";
    private static final String LINKS = "links";
    private static final String LOCK = "lock";
    /** Real paths. Closing a file gives up all locks that this process has on it, so whoever comes second may not even open it. */
    private static final Set<Path> BUSY = ConcurrentHashMap.newKeySet();

    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

    static Folder of(Path path) {
        return new Folder(path.toAbsolutePath().normalize());
    }

    /** Made where nothing is. */
    static Folder make(Path path) {
        Folder folder = of(path);
        try {
            Files.createDirectory(folder.path, PosixFilePermissions.asFileAttribute(mode("rwx--x--x")));
            Files.createDirectory(folder.images(), PosixFilePermissions.asFileAttribute(mode("rwx------")));
            create(folder.path.resolve(LOCK));
            return folder;
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + folder.path + " cannot be made (" + IoReason.of(e)
                            + "): name one that is not there yet, in a folder that is. The process was not touched.");
        }
    }

    private static Set<PosixFilePermission> mode(String text) {
        return PosixFilePermissions.fromString(text);
    }

    Path images() {
        return path.resolve(IMAGES);
    }

    long imageBytes() {
        return bytes(names(IMAGES));
    }

    /** Where a process stores its memory: a folder that belongs to its user, as the process makes the files itself. */
    Path deviceMemory(long pid, long user) {
        Path folder = deviceMemory(pid);
        try {
            if (!Files.isDirectory(folder)) {
                OwnedFolder.make(folder, user);
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + folder + " cannot be made for user " + user + " (" + IoReason.of(e)
                            + "): run as that user, or as root.");
        }
        return folder;
    }

    /** The files in one of its folders, by their names within; none if it is not there. */
    private List<String> names(String within) {
        return Stream.of(Objects.requireNonNullElse(file(within).toFile().list(), new String[0]))
                .sorted()
                .map(name -> within + "/" + name)
                .toList();
    }

    /** Where a process has stored its memory, if it has. */
    Path deviceMemory(long pid) {
        return path.resolve(DEVICE_MEMORY + "-" + pid);
    }

    /** The files with device memory; a process that had nothing to park has made none. */
    List<String> stored(List<Long> pids) {
        return pids.stream()
                .flatMap(pid -> names(DEVICE_MEMORY + "-" + pid).stream())
                .toList();
    }

    long storedBytes(List<Long> pids) {
        return bytes(stored(pids));
    }

    private long bytes(List<String> names) {
        return names.stream()
                .mapToLong(name -> Host.bytes(file(name).toString()))
                .sum();
    }

    /** What is in it, by its name within. */
    Path file(String name) {
        return path.resolve(name);
    }

    /** Where copies of {@link RemappedLinks} are, if there are any. */
    Path links() {
        return path.resolve(LINKS);
    }

    /** An empty one. */
    void makeLinks() {
        try {
            if (Files.exists(links())) {
                TemporaryFolder.deleteAll(links());
            }
            Files.createDirectory(links(), PosixFilePermissions.asFileAttribute(mode("rwx------")));
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + links() + " cannot be made (" + IoReason.of(e) + "): make room, or name another.");
        }
    }

    Path manifest() {
        return path.resolve(MANIFEST);
    }

    Path partial() {
        return path.resolve(PARTIAL);
    }

    boolean isFinished() {
        return Files.exists(manifest());
    }

    /** Before anything that matters is in the folder. */
    void writePartial(Manifest manifest) {
        writeOrTell(partial(), manifest);
    }

    /** So that it cannot be finished any more. */
    void dropPartial() {
        try {
            Files.deleteIfExists(partial());
        } catch (IOException e) {
            return; // then it is finished
        }
    }

    /** Back to where what is in it is all that there is, and yet no snapshot. */
    void unfinish() throws IOException {
        if (isFinished()) {
            Files.move(manifest(), partial(), StandardCopyOption.ATOMIC_MOVE);
        }
    }

    /** As CRIU does it. */
    void finish() throws IOException {
        Files.move(partial(), manifest(), StandardCopyOption.ATOMIC_MOVE);
    }

    /** In place of the one that finished it. */
    void writeSealed(Manifest manifest) throws IOException {
        Path next = path.resolve(MANIFEST + ".next");
        write(next, manifest);
        Files.move(next, manifest(), StandardCopyOption.ATOMIC_MOVE);
    }

    private static void writeOrTell(Path file, Manifest manifest) {
        try {
            write(file, manifest);
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    file + " cannot be written (" + IoReason.of(e) + "): make room, or name another folder.");
        }
    }

    private static void write(Path file, Manifest manifest) throws IOException {
        Files.deleteIfExists(file);
        create(file);
        Files.writeString(file, GSON.toJson(manifest));
        force(file);
    }

    private static void create(Path file) throws IOException {
        Files.createFile(file, PosixFilePermissions.asFileAttribute(mode("rw-------")));
    }

    /** Also for a caller who is interrupted, which would close a channel. */
    static void force(Path file) throws IOException {
        try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "r")) {
            open.getFD().sync();
        }
    }

    /** @throws TorporException {@link Problem#SNAPSHOT} if there is no finished snapshot, or one of another version */
    Manifest read() {
        int format;
        try {
            JsonObject json = Objects.requireNonNull(GSON.fromJson(Files.readString(manifest()), JsonObject.class));
            format = json.has("format") ? json.get("format").getAsInt() : 0;
            if (format == Manifest.FORMAT) { // only then the rest means what it does here
                Manifest manifest = Objects.requireNonNull(GSON.fromJson(json, Manifest.class));
                Objects.requireNonNull(manifest.driver());
                return manifest;
            }
        } catch (NoSuchFileException e) {
            throw new TorporException(Problem.SNAPSHOT, unfinished());
        } catch (IOException e) {
            throw unreadable(IoReason.of(e));
        } catch (RuntimeException e) { // Gson throws whatever the shape of the text leads to
            throw unreadable("it is not what a save writes");
        }
        throw new TorporException(
                Problem.SNAPSHOT,
                manifest() + " has format " + format + ", and this version reads format " + Manifest.FORMAT
                        + ": use the version that made it.");
    }

    private TorporException unreadable(String reason) {
        return new TorporException(
                Problem.SNAPSHOT, manifest() + " cannot be read (" + reason + "): the snapshot is damaged.");
    }

    private String unfinished() {
        return Files.exists(partial())
                ? path
                        + " is no finished snapshot: its save was cut off. If its processes are still there, resume them before you"
                        + " delete it, as their memory may be in it."
                : path + " is no snapshot: it has no " + MANIFEST + ".";
    }

    /** All files but the manifest, the lock and CRIU's logs, by their names within. */
    List<String> names() throws IOException {
        try (Stream<Path> all = Files.walk(path)) {
            return all.filter(Files::isRegularFile)
                    .map(file -> path.relativize(file).toString())
                    .filter(name -> !name.startsWith(MANIFEST)
                            && !name.equals(LOCK)
                            && !name.endsWith(".log")
                            && !name.endsWith("stats-dump"))
                    .sorted()
                    .toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /**
     * Does something while nobody else does; on a medium that cannot be written nobody can tell.
     *
     * @throws TorporException {@link Problem#SNAPSHOT} if somebody is at it already
     */
    <T> T alone(Supplier<T> work) {
        Path real = real();
        if (!BUSY.add(real)) {
            throw busy();
        }
        try {
            return locking(work);
        } finally {
            BUSY.remove(real);
        }
    }

    private Path real() {
        try {
            return path.toRealPath();
        } catch (IOException e) {
            return path;
        }
    }

    private TorporException busy() {
        return new TorporException(
                Problem.SNAPSHOT, "Somebody else works with " + path + " right now: wait until that is done.");
    }

    private <T> T locking(Supplier<T> work) {
        FileChannel channel;
        try {
            channel = FileChannel.open(path.resolve(LOCK), StandardOpenOption.WRITE);
        } catch (IOException e) {
            return work.get();
        }
        try {
            if (!locked(channel)) {
                throw busy();
            }
            return work.get();
        } finally {
            close(channel);
        }
    }

    private static boolean locked(FileChannel channel) {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false;
        } catch (IOException e) {
            return true; // a file system without locks
        }
    }

    private static void close(FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            return; // closed all the same
        }
    }

    /**
     * Moves CRIU's log of a dump that failed out of the folder, which is about to go: beside it, instead of the log of an earlier failure.
     *
     * @return where the log is now; empty if there is none, or it cannot be moved
     */
    Optional<Path> keepLog() {
        Path kept = path.resolveSibling(path.getFileName() + ".dump.log");
        try {
            return Optional.of(Files.move(log(), kept, StandardCopyOption.ATOMIC_MOVE));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** CRIU's, of a dump. */
    Path log() {
        return images().resolve("dump.log");
    }

    void delete() {
        try {
            TemporaryFolder.deleteAll(path);
        } catch (IOException e) {
            return; // what is left has no manifest
        }
    }
}
