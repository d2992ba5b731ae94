package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Manifest.StoredFile;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.Living;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** One save: everything is looked at, the processes are suspended, CRIU dumps them, the manifest is completed. */
final class Saving {
    private static final Duration DYING = Duration.ofSeconds(30);
    private static final Duration UNTOUCHED = Duration.ofSeconds(1); // CRIU has told who is to die when it ends
    private static final Duration POLL = Duration.ofMillis(5);
    private static final int MOST_LOOKS = 20;
    private static final int MOST_DUMPS = 3;

    private final Cuda cuda;
    private final Path path;
    private final Save options;
    private final Criu criu;
    private final Description before;
    private final Timeline timeline = new Timeline();
    private final List<Report> reports = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final Map<String, Checksums.Making> sums = new LinkedHashMap<>();
    private Tree tree;
    private @Nullable Manifest described;

    Saving(Cuda cuda, long pid, Path path, Save options) {
        this.cuda = cuda;
        this.path = path.toAbsolutePath().normalize();
        this.options = options;
        tree = Tree.of(cuda, pid);
        criu = options.program();
        before = new Description(cuda, options.parking());
    }

    SnapshotReport run() {
        before.include(tree.gpu());
        checkRoom();
        Folder folder = Folder.make(path);
        return folder.alone(() -> run(folder));
    }

    private SnapshotReport run(Folder folder) {
        try {
            describe(folder);
        } catch (RuntimeException e) {
            folder.delete();
            throw e;
        }
        timeline.end("check");
        try (Checksums checksums = new Checksums()) {
            save(folder, checksums);
            Manifest manifest = Objects.requireNonNull(described);
            if (options.leavesRunning()) {
                goOn(folder);
            }
            return report(folder, seal(folder, manifest, checksums));
        }
    }

    private void checkRoom() {
        long needed = before.bytes(tree);
        Path parent = Objects.requireNonNullElse(path.getParent(), path);
        try {
            long there = Files.getFileStore(parent).getUsableSpace();
            if (there < needed) {
                throw new TorporException(
                        Problem.SNAPSHOT,
                        "A snapshot of process " + tree.root() + " may need " + needed + " bytes, and " + parent
                                + " has room for " + there
                                + ": free some, or name another folder. The process was not touched.");
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + parent + " cannot be used (" + IoReason.of(e)
                            + "): name one in a folder that is there.");
        }
    }

    private void describe(Folder folder) {
        Manifest manifest = before.manifest(tree, folder);
        folder.writePartial(manifest);
        described = manifest;
    }

    private void save(Folder folder, Checksums checksums) {
        try {
            Finish.script(
                    folder,
                    tree,
                    Optional.empty(),
                    RemappedLinks.none()); // before anything is touched, as it may not be possible
            suspend(folder, tree.gpu());
            settle(folder);
            timeline.end("suspend", OptionalLong.of(folder.storedBytes(tree.pids())));
            dump(folder, checksums);
            timeline.end("dump", OptionalLong.of(folder.imageBytes()));
        } catch (RuntimeException e) {
            if (!folder.isFinished() || !endsSoon()) {
                undo(folder, options.isCancelled() && !folder.isFinished() ? cancelled() : e);
            }
            notes.add(String.valueOf(e.getMessage())); // all of it is there, and the processes have ended
        }
    }

    /** Without a manifest to finish, the program that CRIU runs at the end fails, and CRIU lets the processes go on. */
    private void dump(Folder folder, CriuDump dump) {
        Runnable callOff = folder::dropPartial;
        options.cancellation().ifPresent(cancellation -> cancellation.onRequest(callOff));
        try {
            if (options.isCancelled()) {
                throw cancelled();
            }
            criu.dump(tree.root(), folder.images(), dump);
        } finally {
            options.cancellation().ifPresent(cancellation -> cancellation.forget(callOff));
        }
    }

    private TorporException cancelled() {
        return new TorporException(Problem.CANCELLED, "The save of process " + tree.root() + " was cancelled.");
    }

    /**
     * Suspends what has started to use CUDA since the last look, until nothing does any more. CRIU would dump such a process with a live
     * context, and the manifest would not know it.
     */
    private void settle(Folder folder) {
        for (int look = 0; look < MOST_LOOKS; look++) {
            Tree now = tree.lookAgain(cuda);
            checkNoneLeft(now);
            List<GpuProcess> late = now.gpuBeyond(tree);
            before.include(late);
            tree = now;
            describe(folder);
            if (late.isEmpty()) {
                return;
            }
            suspend(folder, late);
        }
        throw new TorporException(
                Problem.WRONG_STATE,
                "Process " + tree.root() + " starts further processes that use CUDA while it is saved, after "
                        + MOST_LOOKS + " looks still: save it when all of them have started.");
    }

    /** A process whose parents end moves out of the tree, and CRIU would leave it out. */
    private void checkNoneLeft(Tree now) {
        for (GpuProcess process : Living.of(tree.gpuBeyond(now))) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "Process " + process.pid() + " no longer descends from process " + tree.root()
                            + ", as a parent of it has ended: save each of them by itself.");
        }
    }

    /** One that starts to use CUDA after the last look fails the dump, which is made again with it. */
    private void dump(Folder folder, Checksums checksums) {
        for (int dump = 1; ; dump++) {
            RemappedLinks links = RemappedLinks.of(tree, options.dump());
            if (!links.directories().isEmpty()) {
                folder.makeLinks();
            }
            Path script = Finish.script(folder, tree, tree.checkpointThread(cuda), links);
            beginSums(folder, checksums);
            tree.checkRoot();
            try {
                dump(folder, options.dump().actionScript(script));
                links.collect(folder);
                return;
            } catch (TorporException e) {
                if (dump == MOST_DUMPS || folder.isFinished() || options.isCancelled() || !isLate()) {
                    throw e;
                }
                settle(folder);
            }
        }
    }

    private boolean isLate() {
        return !tree.lookAgain(cuda).gpuBeyond(tree).isEmpty();
    }

    /**
     * A process that is being killed takes a moment, and longer with much memory; what is left of it, until its parent has waited for it, is
     * nothing to go back to.
     */
    private boolean endsSoon() {
        long start = System.nanoTime();
        long root = tree.root();
        while (Host.PROC.startTime(root) >= 0) {
            Duration patience = Host.PROC.ends(root) ? DYING : UNTOUCHED;
            if (System.nanoTime() - start >= patience.toNanos()) {
                return false;
            }
            LockSupport.parkNanos(POLL.toNanos());
        }
        return true;
    }

    private void suspend(Folder folder, List<GpuProcess> processes) {
        List<GpuProcess> awake = processes.stream()
                .filter(process -> !before.stateBefore(process).equals(ProcessState.CHECKPOINTED))
                .toList();
        if (!awake.isEmpty()) {
            reports.addAll(GpuGroup.of(awake).suspend(process -> options(folder, process)));
        }
    }

    private Suspend options(Folder folder, GpuProcess process) {
        Suspend checked =
                Suspend.to(Level.CHECKPOINT).lockTimeout(options.lockTimeout()).checkSharing(options.checkSharing());
        Suspend suspend = options.cancellation().map(checked::cancelledBy).orElse(checked);
        if (!options.parking()) {
            return suspend.withoutParking();
        }
        return before.stores(process) ? suspend.storeAt(folder.deviceMemory(process.pid())) : suspend;
    }

    private void beginSums(Folder folder, Checksums checksums) {
        for (String name : options.checksums() ? folder.stored(tree.pids()) : List.<String>of()) {
            Path file = folder.file(name);
            sums.computeIfAbsent(name, key -> checksums.begin(key, file, Host.bytes(file.toString())));
        }
    }

    /**
     * The folder goes when the processes are awake, as their memory is in it until then. Where all images are written and the processes
     * have ended after all, the snapshot is what there is, and this returns.
     */
    private void undo(Folder folder, RuntimeException failure) {
        boolean complete = folder.isFinished();
        String trouble = "";
        try {
            folder.unfinish();
            Waking.all(tree.gpu(), before, folder);
        } catch (RuntimeException | IOException e) {
            trouble = " Undoing it failed too: " + e.getMessage();
        }
        List<Long> ended = tree.ended();
        if (complete && !ended.isEmpty() && finished(folder)) {
            if (ended.size() == tree.pids().size()) {
                return;
            }
            throw told(
                    failure,
                    trouble + dead(ended) + " The snapshot in " + folder.path() + " is complete all the same.");
        }
        if (!trouble.isEmpty()) {
            throw told(
                    failure,
                    trouble + dead(ended) + " Keep " + folder.path()
                            + ", as memory of the process may be in it, and resume the process before you delete it.");
        }
        RuntimeException kept = withLog(folder, failure);
        folder.delete();
        if (failure instanceof TorporException known && known.problem() == Problem.CANCELLED && ended.isEmpty()) {
            throw told(failure, " It is as it was before, and " + folder.path() + " is removed.");
        }
        throw ended.isEmpty() ? kept : told(kept, dead(ended));
    }

    /** The log that the failure names does not go with the folder. */
    private static RuntimeException withLog(Folder folder, RuntimeException failure) {
        String message = String.valueOf(failure.getMessage());
        String log = folder.log().toString();
        if (!(failure instanceof TorporException known) || !message.contains(log)) {
            return failure;
        }
        return folder.keepLog()
                .map(kept -> new TorporException(known.problem(), message.replace(log, kept.toString())))
                .orElse(known);
    }

    private static boolean finished(Folder folder) {
        try {
            folder.finish();
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static String dead(List<Long> ended) {
        return ended.stream().map(pid -> " Process " + pid + " has ended.").collect(Collectors.joining());
    }

    private static TorporException told(RuntimeException failure, String more) {
        return new TorporException(
                failure instanceof TorporException known ? known.problem() : Problem.SNAPSHOT,
                failure.getMessage() + more);
    }

    private void goOn(Folder folder) {
        try {
            Waking.all(tree.gpu(), before, folder);
            timeline.end("resume", OptionalLong.of(folder.storedBytes(tree.pids())));
            List<Long> ended = tree.ended();
            if (!ended.isEmpty()) {
                notes.add(dead(ended).strip());
            }
        } catch (TorporException e) {
            throw new TorporException(
                    e.problem(), e.getMessage() + " The snapshot in " + folder.path() + " is complete all the same.");
        }
    }

    /** What fails here costs no more than what is written here. */
    private Manifest seal(Folder folder, Manifest manifest, Checksums checksums) {
        try {
            List<Checksums.Making> making = new ArrayList<>();
            for (String name : folder.names()) {
                long bytes = Files.size(folder.file(name));
                Checksums.Making known = sums.get(name);
                making.add(
                        known != null
                                ? known
                                : checksums.begin(name, folder.file(name), options.checksums() ? bytes : 0));
            }
            List<StoredFile> files = new ArrayList<>();
            for (Checksums.Making one : making) {
                files.add(new StoredFile(
                        one.name(),
                        Files.size(folder.file(one.name())),
                        one.made().crc32c()));
            }
            if (options.durable()) {
                for (StoredFile file : files) {
                    Folder.force(folder.file(file.name()));
                }
            }
            timeline.end("seal");
            Manifest complete = dumped(folder, manifest).sealedWith(files, timeline.milliseconds());
            folder.writeSealed(complete);
            return complete;
        } catch (IOException e) {
            notes.add("sizes and checksums could not be added to the manifest: " + IoReason.of(e));
            return manifest;
        }
    }

    /** With the processes that CRIU has dumped: some may have started or ended after the last look. */
    private Manifest dumped(Folder folder, Manifest manifest) {
        List<Long> pids = Criu.processesOf(folder.images());
        if (pids.isEmpty()) {
            return manifest; // images that cannot be read
        }
        for (Member member : manifest.processes()) {
            if (member.gpu() && !pids.contains(member.pid())) {
                notes.add("Process " + member.pid() + " has ended and is not in the snapshot.");
            }
        }
        return manifest.withProcesses(pids);
    }

    private SnapshotReport report(Folder folder, Manifest manifest) {
        return new SnapshotReport(
                "save",
                folder.path(),
                manifest.processes().stream().map(Member::pid).toList(),
                timeline.phases(),
                reports,
                manifest.bytes(),
                timeline.total(),
                notes,
                cuda.simulated());
    }
}
