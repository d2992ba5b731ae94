package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.ProcessIdentity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.locks.LockSupport;

/** One load: everything is looked at, CRIU makes the processes anew, and those of CUDA are resumed. */
final class Loading {
    private static final Duration GONE_LIMIT = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(5);

    private final Cuda cuda;
    private final Folder folder;
    private final Manifest manifest;
    private final Load options;
    private final Criu criu;
    private final Timeline timeline = new Timeline();
    private final List<String> notes = new ArrayList<>();

    Loading(Cuda cuda, Folder folder, Manifest manifest, Load options) {
        this.cuda = cuda;
        this.folder = folder;
        this.manifest = manifest;
        this.options = options;
        criu = options.program();
    }

    SnapshotReport run() {
        return folder.alone(() -> {
            check();
            LinkCopies links = LinkCopies.in(folder);
            notes.addAll(links.putBack());
            long begin = Host.PROC.now();
            List<ProcessIdentity> made = List.of();
            try {
                criu.restore(folder.images(), options.restore());
                made = made(begin);
                timeline.end("restore", OptionalLong.of(imageBytes()));
                return report(resumed());
            } catch (RuntimeException e) {
                links.remove();
                throw killed(e, made.isEmpty() ? made(begin) : made);
            }
        });
    }

    private void check() {
        if (!manifest.sealed()) {
            notes.add("the snapshot has no sizes and checksums to compare with");
        }
        Snapshot.checkSizes(folder, manifest);
        new Fitting(cuda, manifest).check(options);
        if (options.verify()) {
            Snapshot.verify(folder, manifest);
        }
        for (Member member : manifest.processes()) {
            makeShimFolder(member);
        }
        timeline.end("check");
    }

    /** Where the control socket was, and CRIU makes it anew; a folder in /tmp does not outlive the host's next start. */
    private static void makeShimFolder(Member member) {
        Path shimFolder = Path.of(member.shimFolder());
        if (member.shimFolder().isEmpty() || Files.exists(shimFolder)) {
            return;
        }
        try {
            makeOwned(shimFolder, member.user());
        } catch (IOException e) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The folder " + shimFolder + ", where the shim of process " + member.pid()
                            + " listens, cannot be made (" + IoReason.of(e)
                            + "). Nothing was started: make it, for its user alone.");
        }
    }

    /** With the directories above it that are missing, as of {@code /run/user/UID} while that user is not logged in. */
    private static void makeOwned(Path folder, long user) throws IOException {
        Path above = folder.getParent();
        if (above != null && !Files.exists(above)) {
            makeOwned(above, user);
        }
        Files.createDirectory(
                folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.setAttribute(folder, "unix:uid", Math.toIntExact(user));
    }

    private List<Report> resumed() {
        List<GpuProcess> processes = new ArrayList<>();
        for (Member member : manifest.processes()) {
            if (member.gpu()) {
                processes.add(cuda.process(member.pid()));
            }
        }
        List<Report> reports = GpuGroup.of(processes).resume(this::options);
        timeline.end("resume", OptionalLong.of(folder.storedBytes(pids())));
        return reports;
    }

    private Resume options(GpuProcess process) {
        Resume resume = resume(process.pid()).onto(options.deviceMap()).checkDeviceMemory(options.checkMemory());
        return options.cancellation().map(resume::cancelledBy).orElse(resume);
    }

    private RuntimeException killed(RuntimeException failure, List<ProcessIdentity> made) {
        if (Criu.madeOf(folder.images()).isEmpty()) {
            return failure;
        }
        long deadline = System.nanoTime() + GONE_LIMIT.toNanos();
        made.forEach(ProcessIdentity::kill);
        while (made.stream().anyMatch(Loading::isThere) && System.nanoTime() < deadline) {
            LockSupport.parkNanos(POLL.toNanos());
        }
        return new TorporException(
                failure instanceof TorporException known ? known.problem() : Problem.SNAPSHOT,
                failure.getMessage() + " The processes that were made anew have been killed; the snapshot in "
                        + folder.path() + " is intact.");
    }

    /**
     * The processes that CRIU has made, looked up at once, before other processes can take the pids of some that have ended. What was started
     * before the restore began is none of them.
     */
    private List<ProcessIdentity> made(long begin) {
        return ProcessIdentity.allOf(pids()).stream()
                .filter(process -> process.startTime() >= begin)
                .toList();
    }

    /** Also as a zombie, which has the pid until its parent has waited for it. */
    private static boolean isThere(ProcessIdentity killed) {
        return killed.isAlive() || (ProcessIdentity.of(killed.pid()).isEmpty() && hasEntry(killed.pid()));
    }

    private static boolean hasEntry(long pid) {
        return Files.exists(Path.of("/proc", Long.toString(pid)));
    }

    private Resume resume(long pid) {
        for (Member member : manifest.processes()) {
            if (member.pid() == pid && !member.deviceMemory().isEmpty()) {
                return Resume.defaults().storedAt(folder.file(member.deviceMemory()));
            }
        }
        return Resume.defaults();
    }

    private List<Long> pids() {
        return manifest.processes().stream().map(Member::pid).toList();
    }

    private long imageBytes() {
        return manifest.bytes() - folder.storedBytes(pids());
    }

    private SnapshotReport report(List<Report> reports) {
        return new SnapshotReport(
                "load",
                folder.path(),
                pids(),
                timeline.phases(),
                reports,
                manifest.bytes(),
                timeline.total(),
                notes,
                cuda.simulated());
    }
}
