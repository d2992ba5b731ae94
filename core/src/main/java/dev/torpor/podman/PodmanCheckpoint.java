package dev.torpor.podman;

import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.tools.Arguments;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link Podman#checkpoint}. */
public final class PodmanCheckpoint extends PodmanOptions<PodmanCheckpoint> {
    private static final String PRE_CHECKPOINT = "--pre-checkpoint";
    private static final PodmanCheckpoint DEFAULT =
            new PodmanCheckpoint(Arguments.NONE, Resume.defaults(), Suspend.to(Level.CHECKPOINT), false, null, null);

    private final Suspend suspend;
    private final boolean leavesRunning;
    private final @Nullable Path archive;
    private final @Nullable Path store;

    private PodmanCheckpoint(
            Arguments told,
            Resume resume,
            Suspend suspend,
            boolean leavesRunning,
            @Nullable Path archive,
            @Nullable Path store) {
        super(told, resume);
        this.suspend = suspend;
        this.leavesRunning = leavesRunning;
        this.archive = archive;
        this.store = store;
    }

    /** How an archive is compressed. */
    public enum Compression {
        /** Fast and small; podman's default. */
        ZSTD,
        /** Slow and small. */
        GZIP,
        /** Not at all. */
        NONE
    }

    /** The container stops, and its images stay with podman. */
    public static PodmanCheckpoint defaults() {
        return DEFAULT;
    }

    @Override
    PodmanCheckpoint with(Arguments changed, Resume changedResume) {
        return new PodmanCheckpoint(changed, changedResume, suspend, leavesRunning, archive, store);
    }

    private PodmanCheckpoint running(String option) {
        return new PodmanCheckpoint(told.with(option), resume, suspend, true, archive, store);
    }

    /** The container runs on ({@code --leave-running}), and its GPU processes are resumed. */
    public PodmanCheckpoint leaveRunning() {
        return running("--leave-running");
    }

    /**
     * Only the memory, while the container runs on ({@code --pre-checkpoint}); its GPU processes are suspended for it, and resumed. The
     * kernel must be able to track changed memory.
     */
    public PodmanCheckpoint preCheckpoint() {
        return running(PRE_CHECKPOINT);
    }

    /** On top of a pre-checkpoint ({@code --with-previous}). */
    public PodmanCheckpoint withPrevious() {
        return with("--with-previous");
    }

    /**
     * Into an archive ({@code --export}), to be restored anywhere.
     *
     * @param file in a folder that is there; written over
     */
    public PodmanCheckpoint export(Path file) {
        Path absolute = file.toAbsolutePath();
        return new PodmanCheckpoint(
                told.with("--export", absolute.toString()), resume, suspend, leavesRunning, absolute, store);
    }

    /** How the archive is compressed ({@code --compress}). */
    public PodmanCheckpoint compress(Compression compression) {
        return with("--compress", compression.name().toLowerCase(Locale.ROOT));
    }

    /**
     * How the GPU processes are suspended. Default: to {@link Level#CHECKPOINT}, with its defaults.
     *
     * @throws IllegalArgumentException at another level, as CRIU cannot dump what is on a GPU
     */
    public PodmanCheckpoint suspend(Suspend options) {
        if (options.level() != Level.CHECKPOINT) {
            throw new IllegalArgumentException(
                    "a process at level " + options.level() + " is still on the GPU: suspend to level CHECKPOINT");
        }
        return new PodmanCheckpoint(told, resume, options, leavesRunning, archive, store);
    }

    /**
     * Processes that carry the shim park their device memory in a volume of the container: each in a folder of its own there,
     * {@code device-memory-PID} by the pid inside. So it is neither in CRIU's images nor in an archive, which makes both ways faster by far.
     * It belongs to the checkpoint, and goes with it: when {@link Podman#restore} has read it, unless that is to {@linkplain PodmanOptions#keep
     * keep} the checkpoint, and when a checkpoint fails. What is restored from an archive leaves it. Of no matter for a pre-checkpoint. Default: none, so that it goes into CRIU's images.
     *
     * @param volume an absolute path: where a folder of the host, or a volume, is mounted in the container
     * @throws IllegalArgumentException if it is relative
     */
    public PodmanCheckpoint storeAt(Path volume) {
        if (!volume.isAbsolute()) {
            throw new IllegalArgumentException(
                    "'" + volume + "' is relative: name a volume by its absolute path in the container");
        }
        return new PodmanCheckpoint(told, resume, suspend, leavesRunning, archive, volume.normalize());
    }

    Optional<Path> store() {
        return told.words().contains(PRE_CHECKPOINT) ? Optional.empty() : Optional.ofNullable(store);
    }

    Suspend suspend() {
        return suspend;
    }

    boolean leavesRunning() {
        return leavesRunning;
    }

    /** Podman would find that out when the processes have ended. */
    void checkArchive() {
        Path folder = archive == null ? null : archive.getParent();
        if (folder != null && !(Files.isDirectory(folder) && Files.isWritable(folder))) {
            throw new TorporException(
                    Problem.SNAPSHOT, "The folder " + folder + " is not there or cannot be written: name another.");
        }
    }
}
