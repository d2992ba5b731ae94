package dev.torpor.criu;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import dev.torpor.tools.Command.Ended;
import dev.torpor.tools.DumpRoot;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.ProcFs;
import dev.torpor.tools.TemporaryFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The program {@code criu} (criu(8)). Every call runs it once and waits for its end. CRIU's own plugins are left out, since the one for
 * CUDA would meddle with what the driver has checkpointed already. Immutable and thread-safe; two calls on the same process, or with the
 * same folder of images, are the caller's to keep apart.
 */
public final class Criu {
    private static final Duration CHECK_LIMIT = Duration.ofSeconds(30);
    private static final String PID_FILE = "restore.pid";
    private static final ProcFs PROC = new ProcFs();

    private final Path program;
    private final CriuVersion version;
    private final boolean breakpoints;

    private Criu(Path program, CriuVersion version, boolean breakpoints) {
        this.program = program;
        this.version = version;
        this.breakpoints = breakpoints;
    }

    /**
     * The one in PATH, or else in {@code /usr/local/sbin} or {@code /usr/sbin}.
     *
     * @throws TorporException {@link Problem#TOOL_MISSING} if there is none, and as {@link #at}
     */
    public static Criu find() {
        return at(Command.find("criu", "/usr/local/sbin", "/usr/sbin")
                .orElseThrow(() -> new TorporException(
                        Problem.TOOL_MISSING,
                        "There is no criu in PATH, /usr/local/sbin or /usr/sbin: install CRIU " + CriuVersion.MINIMUM
                                + " or later, see docs/snapshots.md.")));
    }

    /**
     * The program in a file.
     *
     * @throws TorporException {@link Problem#TOOL_MISSING} if it cannot be started, is not CRIU, or is older than 4.1. From Linux 6.13 on,
     *     such a one fails at everything with "Unexpected rt vDSO area bounds": Debian 12's 3.17.1, for example.
     */
    public static Criu at(Path program) {
        Path file = program.toAbsolutePath();
        Ended ended = Command.of(List.of(file.toString(), "--version")).run(CHECK_LIMIT);
        CriuVersion version = CriuVersion.of(file, ended);
        return new Criu(file, version, version.findsOutAboutBreakpoints());
    }

    /**
     * Whether CRIU may use hardware breakpoints. There are hypervisors under which they do not work, and a CRIU that waits for one hangs.
     * Without them it single-steps from system call to system call at the end of a dump and a restore. Default: yes from CRIU 4.2 on,
     * which finds out by itself whether they work; no before.
     */
    public Criu breakpoints(boolean allowed) {
        return new Criu(program, version, allowed);
    }

    /** The program, an absolute path. */
    public Path program() {
        return program;
    }

    /** Like {@code 4.1.1}. */
    public String version() {
        return version.toString();
    }

    /**
     * What this object tells CRIU through its environment, for those who start CRIU in another way: where its plugins are, and CRIU's own
     * switch against breakpoints.
     *
     * @param plugins an empty folder
     */
    public Map<String, String> environment(Path plugins) {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("CRIU_LIBS_DIR", plugins.toString());
        if (!breakpoints) {
            environment.put("CRIU_FAULT", "130"); // FI_NO_BREAKPOINTS, criu/include/fault-injection.h
        }
        return environment;
    }

    /**
     * Asks CRIU whether kernel and permissions are such that it can work ({@code criu check}).
     *
     * @throws TorporException {@link Problem#TOOL} with what is missing
     */
    public void check() {
        Ended ended = Command.of(List.of(program.toString(), "check")).run(CHECK_LIMIT);
        if (!ended.good()) {
            throw new TorporException(
                    Problem.TOOL,
                    program + " cannot work here: " + new CriuLog(ended.output() + ended.errors()).sentence());
        }
    }

    /**
     * Writes a process and its descendants into image files. Unless they are left running, they are killed at the end, and have ended when
     * this returns, with all their memory given back. Their pids are free when their parents have waited for them, for which a restore waits
     * in turn.
     *
     * <p>CRIU has a session of its own and ignores SIGINT, SIGHUP and SIGTERM. One that takes longer than {@link CriuDump#limit} is killed.
     * The processes then run on, unless it was just ending them or had its own code in one of them.
     *
     * @param pid of the process
     * @param images the folder; made if its parent is there. What an earlier dump has left in it is written over.
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#SNAPSHOT} if the folder cannot be written, or the process is
     *     process 1, a kernel thread, this process or an ancestor of it; {@link Problem#TOOL} if CRIU fails, with the first error of its log, {@code dump.log} in the folder, and what to do about it
     */
    public CriuStatistics.Dump dump(long pid, Path images, CriuDump options) {
        ProcessHandle process = ProcessHandle.of(pid)
                .orElseThrow(() -> new TorporException(
                        Problem.NO_SUCH_PROCESS, "There is no process " + pid + ", so CRIU cannot dump it."));
        DumpRoot.refusal(PROC, pid).ifPresent(sentence -> {
            throw new TorporException(Problem.SNAPSHOT, sentence);
        });
        Path folder = made(images);
        try {
            run("dump", folder, options, List.of("--tree", Long.toString(pid)));
        } catch (CriuTrouble e) {
            throw new TorporException(
                    Problem.TOOL,
                    "CRIU could not dump process " + pid + e.getMessage() + " Process " + pid
                            + (process.isAlive() ? " is still there." : " has ended."));
        }
        if (!options.leavesRunning()) {
            ProcessTree.awaitEnd(pid, folder);
        }
        return CriuStatistics.ofDump(folder);
    }

    /**
     * Makes the processes of a dump anew, with the pids that they had; they run when this returns, and are children of init, or of the
     * nearest subreaper. Of one that fails, or that takes longer than {@link CriuRestore#limit}, nothing is left, and the images are as
     * they were.
     *
     * @param images the folder of a dump, which must be writable: log, statistics and pid get into it
     * @throws TorporException {@link Problem#SNAPSHOT} if the folder is not there or cannot be written; {@link Problem#TOOL} if CRIU fails,
     *     with the first error of its log, {@code restore.log} in the folder, and what to do about it
     */
    public CriuRestored restore(Path images, CriuRestore options) {
        Path folder = images.toAbsolutePath();
        if (!Files.isDirectory(folder)) {
            throw new TorporException(
                    Problem.SNAPSHOT, "There is no folder " + folder + ": name the one that the dump was written to.");
        }
        ProcessTree.awaitZombies(folder);
        delete(folder.resolve(PID_FILE)); // CRIU writes a new one, or none
        long begin = PROC.now();
        try {
            run("restore", folder, options, List.of("--restore-detached", "--pidfile", PID_FILE));
        } catch (CriuTrouble e) {
            if (madeOf(folder).isEmpty()) {
                ProcessTree.awaitEndOfRestore(folder, begin);
            }
            throw new TorporException(
                    Problem.TOOL,
                    "CRIU could not restore what is in " + folder + e.getMessage() + " The images are intact.");
        }
        return new CriuRestored(rootPid(folder), CriuStatistics.ofRestore(folder));
    }

    private void run(String action, Path folder, CriuOptions<?> options, List<String> more) throws CriuTrouble {
        String log = action + ".log";
        delete(folder.resolve(log)); // so that none of before is taken for this one's
        try (TemporaryFolder plugins = TemporaryFolder.make()) {
            List<String> words =
                    new ArrayList<>(List.of(program.toString(), action, "--images-dir", folder.toString()));
            words.addAll(List.of("--log-file", log, "--libdir", plugins.path().toString()));
            words.addAll(more);
            words.addAll(options.told.words());
            Command command = Command.of(words).environment(environment(plugins.path()));
            if (options instanceof CriuDump) {
                command.shielded(); // a restore may need the terminal's session, for shellJob
            }
            Ended ended = command.run(options.limit());
            if (!ended.good()) {
                throw new CriuTrouble(folder.resolve(log), ended, options.limit(), breakpoints);
            }
        }
    }

    private static Path made(Path images) {
        Path folder = images.toAbsolutePath();
        try {
            if (!Files.isDirectory(folder)) {
                Files.createDirectory(folder);
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + folder + " cannot be made (" + IoReason.of(e) + "): name one that can.");
        }
        return folder;
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT, file + " cannot be replaced (" + IoReason.of(e) + "): make its folder writable.");
        }
    }

    /**
     * The root of what the last restore from a folder of images has made, as CRIU left it there; empty if that came to nothing, so that
     * whoever has the pid now is somebody else.
     */
    public static OptionalLong madeOf(Path images) {
        try {
            return OptionalLong.of(
                    Long.parseLong(Files.readString(images.resolve(PID_FILE)).strip()));
        } catch (IOException | NumberFormatException e) {
            return OptionalLong.empty();
        }
    }

    /**
     * The pids of the processes in a folder of images, the root first, as their own pid namespace has them; none if the images cannot be read.
     */
    public static List<Long> processesOf(Path images) {
        return ProcessTree.pids(images);
    }

    /**
     * The files that a restore needs beside the images, since the dump has made them for files whose name was gone
     * ({@link CriuDump#linkRemap}); none if the images cannot be read.
     */
    public static List<Path> remappedLinksOf(Path images) {
        return LinkImages.paths(images);
    }

    private static long rootPid(Path folder) {
        return madeOf(folder)
                .orElseThrow(() -> new TorporException(
                        Problem.TOOL,
                        "CRIU restored what is in " + folder + " and left no pid in " + folder.resolve(PID_FILE)
                                + "."));
    }

    /**
     * What went wrong, and what to do about it, by a log of CRIU's that somebody else had written.
     *
     * @return empty if the log cannot be read, or has no errors
     */
    public static Optional<String> explain(Path log) {
        CriuLog read = CriuLog.of(log);
        return read.hasError() ? Optional.of(read.sentence()) : Optional.empty();
    }

    /** Like {@code CRIU 4.1.1 at /usr/local/sbin/criu}. */
    @Override
    public String toString() {
        return "CRIU " + version + " at " + program;
    }
}
