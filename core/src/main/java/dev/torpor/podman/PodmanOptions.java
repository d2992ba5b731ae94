package dev.torpor.podman;

import dev.torpor.Resume;
import dev.torpor.tools.Arguments;
import java.time.Duration;

/**
 * What can be asked of podman for a checkpoint and for a restore; where it is asked for in one, the other most often needs it, too.
 * Immutable: each method returns a changed copy. Names and meanings are those of podman-container-checkpoint(1) and
 * podman-container-restore(1); whether options go together, podman says.
 *
 * @param <T> the options that a method returns
 */
public abstract sealed class PodmanOptions<T extends PodmanOptions<T>> permits PodmanCheckpoint, PodmanRestore {
    final Arguments told;
    final Resume resume;

    PodmanOptions(Arguments told, Resume resume) {
        this.told = told;
        this.resume = resume;
    }

    abstract T with(Arguments changed, Resume changedResume);

    final T with(String... option) {
        return with(told.with(option), resume);
    }

    /** Logs, statistics and images stay for whoever wants to look at them ({@code --keep}). */
    public final T keep() {
        return with("--keep");
    }

    final boolean keeps() {
        return told.words().stream().anyMatch(word -> word.matches("--keep(=true)?|-[a-zA-Z]*k[a-zA-Z]*"));
    }

    /** With established TCP connections ({@code --tcp-established}). */
    public final T tcpEstablished() {
        return with("--tcp-established");
    }

    /** With locks on files ({@code --file-locks}). */
    public final T fileLocks() {
        return with("--file-locks");
    }

    /** An archive without what the container has changed in its root file system ({@code --ignore-rootfs}). */
    public final T ignoreRootfs() {
        return with("--ignore-rootfs");
    }

    /** An archive without the container's volumes ({@code --ignore-volumes}). */
    public final T ignoreVolumes() {
        return with("--ignore-volumes");
    }

    /** Arguments as they are, for what has no method here. */
    public final T arguments(String... arguments) {
        return with(arguments);
    }

    /** How the GPU processes are resumed. Default: {@link Resume#defaults()}. */
    public final T resume(Resume options) {
        return with(told, options);
    }

    /**
     * After how long podman is killed, with what it has started.
     *
     * @param time more than 0, up to 365 days; default 10 min
     */
    public final T limit(Duration time) {
        return with(told.limit(time), resume);
    }

    /** See {@link #limit(Duration)}. */
    public final Duration limit() {
        return told.limit();
    }

    /** As podman is given them, like {@code --keep --tcp-established}. */
    @Override
    public final String toString() {
        return String.join(" ", told.words());
    }
}
