package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.snapshot.Manifest;
import dev.torpor.snapshot.Manifest.StoredFile;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.tools.Command;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;

/** The files of a snapshot: how large they are, and how fast they can be read. */
final class SnapshotFiles {
    private static final Duration LIMIT = Duration.ofMinutes(10);
    private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs");
    private static final String ON_DISK = "A snapshot can be cold on a disk only: let --images name a folder on one.";
    private static final int DROPS = 50;
    private static final Duration PAUSE = Duration.ofMillis(20);
    private static final int READERS = 16;
    private static final int PIECE = 8 << 20;

    private final Path folder;
    private final List<StoredFile> all;
    private final List<StoredFile> deviceMemory;

    private SnapshotFiles(Path folder, List<StoredFile> all, List<StoredFile> deviceMemory) {
        this.folder = folder;
        this.all = all;
        this.deviceMemory = deviceMemory;
    }

    static SnapshotFiles of(Snapshot snapshot) {
        List<StoredFile> all = snapshot.manifest().files();
        List<String> parked = snapshot.manifest().processes().stream()
                .map(Manifest.Member::deviceMemory)
                .filter(within -> !within.isEmpty())
                .map(within -> within + "/")
                .toList();
        return new SnapshotFiles(
                snapshot.folder(),
                all,
                all.stream()
                        .filter(file -> parked.stream().anyMatch(file.name()::startsWith))
                        .toList());
    }

    /** Of all files but those with device memory. */
    long imageBytes() {
        return bytes(all) - bytes(deviceMemory);
    }

    private static long bytes(List<StoredFile> files) {
        return files.stream().mapToLong(StoredFile::bytes).sum();
    }

    /** @throws TorporException if files there are in memory and nowhere else */
    static void checkOnDisk(Path folder) {
        String type;
        try {
            type = Files.getFileStore(folder).type();
        } catch (IOException e) {
            throw new TorporException(Problem.TOOL, "The file system of " + folder + " cannot be told: " + e);
        }
        if (IN_MEMORY.contains(type)) {
            throw new TorporException(
                    Problem.TOOL, folder + " is in memory, as its file system is " + type + ". " + ON_DISK);
        }
    }

    /**
     * Has the kernel forget what it holds of them; they must be on the disk already.
     *
     * @throws TorporException if it does not
     */
    void leavePageCache() {
        Optional<Path> fincore = Command.find("fincore");
        all.forEach(stored -> leavePageCache(folder.resolve(stored.name()), fincore));
    }

    /** Again for a while, as a page that the kernel has in hand just now stays. */
    private static void leavePageCache(Path file, Optional<Path> fincore) {
        String cached = "0";
        for (int i = 0; i < DROPS; i++) {
            dd(file, "iflag=nocache", "count=0");
            cached = fincore.map(program -> cachedBytes(program, file)).orElse("0");
            if (cached.equals("0")) {
                return;
            }
            LockSupport.parkNanos(PAUSE.toNanos());
        }
        throw new TorporException(Problem.TOOL, cached + " bytes of " + file + " stay in the page cache. " + ON_DISK);
    }

    private static String cachedBytes(Path fincore, Path file) {
        Command command =
                Command.of(List.of(fincore.toString(), "--bytes", "--noheadings", "--output", "RES", file.toString()));
        Command.Ended ended = command.run(LIMIT);
        if (!ended.good()) {
            throw new TorporException(Problem.TOOL, "'" + command + "' failed: " + ended.lastWords() + ".");
        }
        return ended.output().strip();
    }

    /** Reads the files with device memory past the page cache; seconds, or empty if there are none. */
    Optional<Double> readDirectly() {
        if (deviceMemory.isEmpty()) {
            return Optional.empty();
        }
        long begin = System.nanoTime();
        ExecutorService readers = Executors.newFixedThreadPool(READERS);
        try {
            shares().stream()
                    .map(share -> CompletableFuture.runAsync(share, readers))
                    .toList()
                    .forEach(CompletableFuture::join);
        } finally {
            readers.shutdown();
        }
        return Optional.of((System.nanoTime() - begin) / 1e9);
    }

    /** Parts of files, one reader's each, about as large as each other. */
    private List<Runnable> shares() {
        long share = Math.max(1, (bytes(deviceMemory) / PIECE + READERS - 1) / READERS);
        List<Runnable> shares = new ArrayList<>();
        for (StoredFile file : deviceMemory) {
            for (long from = 0; from * PIECE < file.bytes(); from += share) {
                long first = from;
                shares.add(() -> readPieces(folder.resolve(file.name()), first, share));
            }
        }
        return shares;
    }

    private static void readPieces(Path file, long from, long count) {
        dd(file, "iflag=direct", "of=/dev/null", "bs=" + PIECE, "skip=" + from, "count=" + count);
    }

    private static void dd(Path file, String... operands) {
        List<String> words = new ArrayList<>(List.of("dd", "status=none", "if=" + file));
        words.addAll(List.of(operands));
        Command command = Command.of(words);
        Command.Ended ended = command.run(LIMIT);
        if (!ended.good()) {
            throw new TorporException(Problem.TOOL, "'" + command + "' failed: " + ended.lastWords() + ". " + ON_DISK);
        }
    }
}
