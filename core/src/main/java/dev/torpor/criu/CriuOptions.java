package dev.torpor.criu;

import dev.torpor.tools.Arguments;
import java.nio.file.Path;
import java.time.Duration;

/**
 * What can be asked of CRIU for a dump and for a restore; where it is asked for in one, the other most often needs it, too. Immutable:
 * each method returns a changed copy. Names and meanings are those of criu(8).
 *
 * @param <T> the options that a method returns
 */
public abstract sealed class CriuOptions<T extends CriuOptions<T>> permits CriuDump, CriuRestore {
    private static final int MOST_VERBOSE = 4;

    final Arguments told;

    CriuOptions(Arguments told) {
        this.told = told;
    }

    abstract T with(Arguments changed);

    final T with(String... option) {
        return with(told.with(option));
    }

    /** With established TCP connections ({@code --tcp-established}). The address must be there again for the restore. */
    public final T tcpEstablished() {
        return with("--tcp-established");
    }

    /** Although its session leader, or its terminal, is none of the processes ({@code --shell-job}). */
    public final T shellJob() {
        return with("--shell-job");
    }

    /** With datagram sockets that are connected to other processes' Unix sockets ({@code --ext-unix-sk}). */
    public final T extUnixSk() {
        return with("--ext-unix-sk");
    }

    /** With locks on files ({@code --file-locks}), though processes beyond the dumped ones might rely on them. */
    public final T fileLocks() {
        return with("--file-locks");
    }

    /** With a resource that lies outside of the processes ({@code --external}), as criu(8) writes it. */
    public final T external(String resource) {
        return with("--external", resource);
    }

    /** Runs a program at each stage ({@code --action-script}), with the stage in CRTOOLS_SCRIPT_ACTION; its failure is CRIU's. */
    public final T actionScript(Path script) {
        return with("--action-script", script.toAbsolutePath().toString());
    }

    /** Arguments as they are, for what has no method here. */
    public final T arguments(String... arguments) {
        return with(arguments);
    }

    /** What the log holds: 0 nothing, 1 errors, 2 warnings, 3 information, 4 all. Default: 2; errors are only told from 1 on. */
    public final T verbosity(int level) {
        if (level < 0 || level > MOST_VERBOSE) {
            throw new IllegalArgumentException("the verbosity " + level + " is out of range: use 0 to " + MOST_VERBOSE);
        }
        return with("--verbosity=" + level);
    }

    /**
     * After how long CRIU is killed. A last resort: a kill in the middle of a dump may cost the process, while CRIU has its own code in it.
     *
     * @param time more than 0, up to 365 days; default 10 min
     */
    public final T limit(Duration time) {
        return with(told.limit(time));
    }

    /** See {@link #limit(Duration)}. */
    public final Duration limit() {
        return told.limit();
    }

    /** As CRIU is given them, like {@code --tcp-established --shell-job}. */
    @Override
    public final String toString() {
        return String.join(" ", told.words());
    }
}
