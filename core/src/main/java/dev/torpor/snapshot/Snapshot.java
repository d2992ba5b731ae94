package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.snapshot.Manifest.StoredFile;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Processes in a folder: CRIU's images, the device memory of each process that its shim has parked, and a manifest. A
 * snapshot is not changed by being loaded, and can be loaded as often as one likes, on the same host. Immutable and thread-safe; of two
 * that load the same one at once, one is refused.
 */
public final class Snapshot {
    private final Folder folder;
    private final Manifest manifest;

    private Snapshot(Folder folder, Manifest manifest) {
        this.folder = folder;
        this.manifest = manifest;
    }

    /**
     * Saves a process and its descendants. Those that use CUDA are suspended (their device memory goes straight into the snapshot where
     * they carry the shim), CRIU dumps all of them, and they end, or go on as {@link Save#leaveRunning} says. Whatever fails before CRIU
     * is done is undone: the processes go on with what they had, and the folder goes. At any moment there is either the process or the
     * snapshot, also if the caller is killed.
     *
     * @param pid of the root, not in a container
     * @param folder where nothing is yet; its parent must be there, and all above must let the process's user through
     * @throws TorporException as {@link dev.torpor.GpuProcess#suspend(dev.torpor.Suspend)} and {@link dev.torpor.criu.Criu#dump};
     *     {@link Problem#NOT_A_CUDA_PROCESS} if none of them uses CUDA; {@link Problem#SNAPSHOT} if the folder is there already, cannot be
     *     written or has too little room, or the process is in a container
     */
    public static SnapshotReport save(Cuda cuda, long pid, Path folder, Save options) {
        return new Saving(cuda, pid, folder, options).run();
    }

    /**
     * A snapshot that was saved.
     *
     * @throws TorporException {@link Problem#SNAPSHOT} if there is none, or one that is unfinished, damaged or of another version
     */
    public static Snapshot open(Path folder) {
        Folder opened = Folder.of(folder);
        return new Snapshot(opened, opened.read());
    }

    /** Where it is, an absolute path. */
    public Path folder() {
        return folder.path();
    }

    /** Where CRIU's images are, for CRIU's own tools and {@link dev.torpor.criu.CriuStatistics}; an absolute path. */
    public Path images() {
        return folder.images();
    }

    /** What is in it. */
    public Manifest manifest() {
        return manifest;
    }

    /**
     * Makes its processes anew, with their pids, and resumes those that use CUDA: CRIU first, then the driver, then the shim, which reads
     * the device memory from the snapshot. Everything that can be checked is checked before anything is started. Where it fails later, what
     * was started is killed, and the snapshot is as it was.
     *
     * @throws TorporException as {@link dev.torpor.GpuProcess#resume(dev.torpor.Resume)} and {@link dev.torpor.criu.Criu#restore};
     *     {@link Problem#SNAPSHOT} if it is damaged, does not fit this host, or is being loaded by somebody else
     */
    public SnapshotReport load(Cuda cuda, Load options) {
        return new Loading(cuda, folder, manifest, options).run();
    }

    /**
     * Compares sizes and checksums of all files with the manifest.
     *
     * @return how many bytes were compared with a checksum
     * @throws TorporException {@link Problem#SNAPSHOT} with the first file that differs
     */
    public long verify() {
        return verify(folder, manifest);
    }

    static long verify(Folder folder, Manifest manifest) {
        checkSizes(folder, manifest);
        long compared = 0;
        try (Checksums checksums = new Checksums()) {
            List<Checksums.Making> all = new ArrayList<>();
            for (StoredFile file : manifest.files()) {
                all.add(checksums.begin(
                        file.name(), folder.file(file.name()), file.crc32c().isEmpty() ? 0 : file.bytes()));
            }
            for (int i = 0; i < all.size(); i++) {
                compared += compare(manifest.files().get(i), all.get(i).made());
            }
        } catch (IOException e) {
            throw damaged("it cannot be read: " + IoReason.of(e));
        }
        return compared;
    }

    private static long compare(StoredFile told, StoredFile found) {
        for (int i = 0; i < told.crc32c().size(); i++) {
            if (!told.crc32c().get(i).equals(found.crc32c().get(i))) {
                long from = (long) i * StoredFile.CHUNK;
                throw damaged(told.name() + " is not what was saved, somewhere in the "
                        + Math.min(StoredFile.CHUNK, told.bytes() - from) + " bytes from " + from + " on");
            }
        }
        return told.crc32c().isEmpty() ? 0 : told.bytes();
    }

    static void checkSizes(Folder folder, Manifest manifest) {
        for (StoredFile file : manifest.files()) {
            try {
                long bytes = Files.size(folder.file(file.name()));
                if (bytes != file.bytes()) {
                    throw damaged(file.name() + " has " + bytes + " bytes, and had " + file.bytes());
                }
            } catch (IOException e) {
                throw damaged(file.name() + " cannot be read: " + IoReason.of(e));
            }
        }
    }

    private static TorporException damaged(String how) {
        return new TorporException(
                Problem.SNAPSHOT,
                "The snapshot is damaged: " + how + ". Nothing was started: take another copy of it.");
    }

    /** Like {@code snapshot /var/lib/torpor/llm}. */
    @Override
    public String toString() {
        return "snapshot " + folder.path();
    }
}
