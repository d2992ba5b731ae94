package dev.torpor;

import dev.torpor.natives.NativeLibrary;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The shim, {@code libtorpor.so}: a library that is loaded into a CUDA program at its start (LD_PRELOAD, see ld.so(8)), where
 * it copies between host and device with many streams, has the driver's checkpoint buffer made of huge pages and copied by many threads, and parks. The program
 * need not know of it, and its own children carry it too. Thread-safe.
 *
 * <pre>{@code
 * Process server = Shim.extract().preload(new ProcessBuilder("python", "serve.py")).start();
 * }</pre>
 */
public final class Shim {
    private static final String FILE = "libtorpor.so";
    private static final String PRELOAD = "LD_PRELOAD";
    private static final String SEPARATORS = "[ :]+";

    private final Path library;
    private final String version;

    private Shim(Path library, String version) {
        this.library = library;
        this.version = version;
    }

    /**
     * The shim of this version of Torpor, as a file that only the user of this process can read: see {@link NativeLibrary}. It
     * stays there, for programs that have it loaded. A program that is started as another user (through sudo, or in a container)
     * cannot load it and runs without, with a line of ld.so's on stderr: copy it to where that user may read it, and let {@link #at}
     * name the copy.
     *
     * @throws TorporException {@link Problem#NO_SHIM} if there is none for this platform, or no folder can take it
     */
    public static Shim extract() {
        try {
            return at(NativeLibrary.file(FILE));
        } catch (UnsatisfiedLinkError e) {
            throw new TorporException(Problem.NO_SHIM, "There is no shim: " + e.getMessage() + ".");
        }
    }

    /**
     * As {@link #extract}, in a directory that outlives a restart of the host, for what is started again later with the same path, like a
     * container: {@code $XDG_DATA_HOME}, {@code /var/lib} for root, or {@code ~/.local/share}.
     *
     * @throws TorporException as {@link #extract}
     */
    public static Shim extractDurably() {
        try {
            return at(NativeLibrary.durableFile(FILE));
        } catch (UnsatisfiedLinkError e) {
            throw new TorporException(Problem.NO_SHIM, "There is no shim: " + e.getMessage() + ".");
        }
    }

    /**
     * The shim in a file, of whichever version.
     *
     * @throws TorporException {@link Problem#NO_SHIM} if it is not the shim, or cannot be read
     */
    public static Shim at(Path library) {
        String version;
        try {
            version = ShimScan.version(library);
        } catch (IOException e) {
            throw new TorporException(Problem.NO_SHIM, library + " cannot be read: " + IoReason.of(e) + ".");
        }
        if (version == null) {
            throw new TorporException(
                    Problem.NO_SHIM, library + " is not the shim, or not there: name a " + FILE + " of Torpor's.");
        }
        return new Shim(library.toAbsolutePath(), version);
    }

    /**
     * Asks which shim a running process carries, by the files that it has mapped.
     *
     * @return empty if it carries none
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#NO_PERMISSION} if this user may not see what it has
     *     mapped
     */
    public static Optional<Loaded> of(long pid) {
        return new ShimScan(new ProcFs()).of(pid);
    }

    /**
     * The shim in a running process, to talk to; whether it carries one shows when it is asked something. It takes no driver, and no
     * {@link Cuda}.
     *
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#WRONG_STATE} if the process is stopped
     */
    public static ShimControl control(long pid) {
        ProcFs proc = new ProcFs();
        long startTime = Preflight.startTime(proc, pid);
        StoppedProcess.of(proc, pid).check();
        return ShimControl.of(proc, pid, startTime);
    }

    /**
     * A shim in a process.
     *
     * @param version that it was built as
     * @param library the path that it was loaded from, as the process sees it; another file, or none, may be there now
     */
    public record Loaded(String version, Path library) {}

    /** The version that it was built as, like {@code 0.1.0}. */
    public String version() {
        return version;
    }

    /** An absolute path. */
    public Path library() {
        return library;
    }

    /** As {@link #preload(ProcessBuilder, ShimOptions)}, with all settings as they are in the builder's environment. */
    public ProcessBuilder preload(ProcessBuilder builder) {
        return preload(builder, ShimOptions.defaults());
    }

    /**
     * Has the program that the builder starts carry the shim.
     *
     * @return the builder
     * @throws IllegalArgumentException as {@link #preload(Map, ShimOptions)}
     */
    public ProcessBuilder preload(ProcessBuilder builder, ShimOptions options) {
        preload(builder.environment(), options);
        return builder;
    }

    /** As {@link #preload(Map, ShimOptions)}, with all settings as they are in the environment. */
    public void preload(Map<String, String> environment) {
        preload(environment, ShimOptions.defaults());
    }

    /**
     * Puts the shim and its settings into an environment: in front of what LD_PRELOAD loads already, and in the place of any shim
     * there.
     *
     * @throws IllegalArgumentException if LD_PRELOAD cannot hold the path of the library, which then is left unchanged like all
     *     else
     */
    public void preload(Map<String, String> environment, ShimOptions options) {
        String joined = joined(environment.get(PRELOAD));
        environment.put(PRELOAD, joined);
        environment.putAll(options.environment());
        options.leanEnvironment().forEach(environment::putIfAbsent);
    }

    private String joined(@Nullable String present) {
        String path = library.toString();
        if (path.split("[ :$]", -1).length > 1) {
            throw new IllegalArgumentException(
                    path + " cannot be preloaded, since LD_PRELOAD separates paths by blanks and colons"
                            + " and expands dollar signs: put the library elsewhere");
        }
        StringBuilder joined = new StringBuilder(path);
        for (String entry : present == null ? new String[0] : present.split(SEPARATORS)) {
            if (!entry.isEmpty() && !entry.equals(path) && !isShim(entry)) {
                joined.append(':').append(entry);
            }
        }
        return joined.toString();
    }

    private static boolean isShim(String entry) {
        String name = entry.substring(entry.lastIndexOf('/') + 1);
        return name.equals(FILE) || (name.startsWith("libtorpor-") && name.endsWith(".so"));
    }

    /** Like {@code shim 0.1.0 at /tmp/torpor-1000/libtorpor-0.1.0-0123456789ab.so}. */
    @Override
    public String toString() {
        return "shim " + version + " at " + library;
    }
}
