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
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Manifest.StoredFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

/** One save: everything is looked at, the processes are suspended, CRIU dumps them, the manifest is completed. */
final class Saving {
    private static final Duration DYING = Duration.ofSeconds(30);
    private static final Duration UNTOUCHED = Duration.ofSeconds(1); // CRIU has told who is to die when it ends
    private static final Duration POLL = Duration.ofMillis(5);

    private final Cuda cuda;
    private final Path path;
    private final Save options;
    private final Criu criu;
    private final Tree tree;
    private final Description before;
    private final Timeline timeline = new Timeline();
    private final List<Report> reports = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final Map<String, Checksums.Making> sums = new LinkedHashMap<>();

    Saving(Cuda cuda, long pid, Path path, Save options) {
        this.cuda = cuda;
        this.path = path.toAbsolutePath().normalize();
        this.options = options;
        tree = Tree.of(cuda, pid);
        criu = options.program();
        before = new Description(cuda, tree, options.parking());
    }

    SnapshotReport run() {
        before.checkStates();
        checkRoom();
        Folder folder = Folder.make(path);
        return folder.alone(() -> run(folder));
    }

    private SnapshotReport run(Folder folder) {
        Manifest manifest = described(folder);
        timeline.end("check");
        try (Checksums checksums = new Checksums()) {
            save(folder, manifest, checksums);
            if (options.leavesRunning()) {
                goOn(folder, manifest);
            }
            return report(folder, seal(folder, manifest, checksums));
        }
    }

    private void checkRoom() {
        long needed = before.bytes();
        Path parent = Objects.requireNonNullElse(path.getParent(), path);
        try {
            long there = Files.getFileStore(parent).getUsableSpace();
            if (there < needed) {
                throw new TorporException(
                        Problem.SNAPSHOT,
                        "A snapshot of process " + tree.pids().get(0) + " may need " + needed + " bytes, and " + parent
                                + " has room for " + there
                                + ": free some, or name another folder. The process was not touched.");
            }
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + parent + " cannot be used (" + e + "): name one in a folder that is there.");
        }
    }

    private Manifest described(Folder folder) {
        try {
            Manifest manifest = before.manifest(folder);
            folder.writePartial(manifest);
            return manifest;
        } catch (RuntimeException e) {
            folder.delete();
            throw e;
        }
    }

    private void save(Folder folder, Manifest manifest, Checksums checksums) {
        try {
            Path script = Finish.script(folder);
            reports.addAll(suspended(folder, manifest));
            timeline.end("suspend", OptionalLong.of(folder.storedBytes(manifest)));
            beginSums(folder, manifest, checksums);
            criu.dump(tree.pids().get(0), folder.images(), options.dump().actionScript(script));
            timeline.end("dump", OptionalLong.of(folder.imageBytes()));
        } catch (RuntimeException e) {
            if (!folder.isFinished() || !endsSoon()) {
                undo(folder, manifest, e);
            }
            notes.add(String.valueOf(e.getMessage())); // all of it is there, and the processes have ended
        }
    }

    /**
     * A process that is being killed takes a moment, and longer with much memory; what is left of it, until its parent has waited for it, is
     * nothing to go back to.
     */
    private boolean endsSoon() {
        long start = System.nanoTime();
        long root = tree.pids().get(0);
        while (Host.PROC.startTime(root) >= 0) {
            Duration patience = Host.PROC.ends(root) ? DYING : UNTOUCHED;
            if (System.nanoTime() - start >= patience.toNanos()) {
                return false;
            }
            LockSupport.parkNanos(POLL.toNanos());
        }
        return true;
    }

    private List<Report> suspended(Folder folder, Manifest manifest) {
        List<GpuProcess> awake = tree.gpu().stream()
                .filter(process -> !before.stateBefore(process).equals(ProcessState.CHECKPOINTED))
                .toList();
        return awake.isEmpty()
                ? List.of()
                : GpuGroup.of(awake).suspend(process -> suspend(folder, member(manifest, process)));
    }

    private Suspend suspend(Folder folder, Member member) {
        Suspend suspend = Suspend.to(Level.CHECKPOINT).lockTimeout(options.lockTimeout());
        if (!options.parking()) {
            return suspend.withoutParking();
        }
        return member.deviceMemory().isEmpty() ? suspend : suspend.storeAt(folder.file(member.deviceMemory()));
    }

    private static Member member(Manifest manifest, GpuProcess process) {
        return manifest.processes().stream()
                .filter(member -> member.pid() == process.pid())
                .findFirst()
                .orElseThrow();
    }

    private void beginSums(Folder folder, Manifest manifest, Checksums checksums) {
        for (String name : options.checksums() ? folder.stored(manifest) : List.<String>of()) {
            Path file = folder.file(name);
            sums.put(name, checksums.begin(name, file, Host.bytes(file.toString())));
        }
    }

    /**
     * The folder goes when the processes are awake, as their memory is in it until then. Where all images are written and the processes
     * have ended after all, the snapshot is what there is, and this returns.
     */
    private void undo(Folder folder, Manifest manifest, RuntimeException failure) {
        boolean complete = folder.isFinished();
        String trouble = "";
        try {
            folder.unfinish();
            Waking.all(tree.gpu(), before, folder, manifest);
        } catch (RuntimeException | IOException e) {
            trouble = " Undoing it failed too: " + e.getMessage();
        }
        List<Long> ended = tree.pids().stream().filter(Host.PROC::ends).toList();
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
        folder.delete();
        throw ended.isEmpty() ? failure : told(failure, dead(ended));
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

    private void goOn(Folder folder, Manifest manifest) {
        try {
            Waking.all(tree.gpu(), before, folder, manifest);
            timeline.end("resume", OptionalLong.of(folder.storedBytes(manifest)));
            List<Long> ended = tree.pids().stream().filter(Host.PROC::ends).toList();
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
            Manifest complete = manifest.sealedWith(files, timeline.milliseconds());
            folder.writeSealed(complete);
            return complete;
        } catch (IOException e) {
            notes.add("sizes and checksums could not be added to the manifest: " + e);
            return manifest;
        }
    }

    private SnapshotReport report(Folder folder, Manifest manifest) {
        return new SnapshotReport(
                "save",
                folder.path(),
                tree.pids(),
                timeline.phases(),
                reports,
                manifest.bytes(),
                timeline.total(),
                notes,
                cuda.simulated());
    }
}
