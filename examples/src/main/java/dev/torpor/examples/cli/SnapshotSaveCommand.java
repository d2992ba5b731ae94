package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.criu.CriuDump;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "save", description = "Saves a process with its children into a directory, then ends them.")
final class SnapshotSaveCommand extends DriverCommand {
    @Parameters(index = "0", paramLabel = "PID", description = "Process id of the parent.")
    private long pid;

    @Parameters(index = "1", paramLabel = "DIR", description = "A directory that does not exist yet.")
    private Path folder = Path.of("");

    @Option(names = "--leave-running", description = "Let the processes run on.")
    private boolean leaveRunning;

    @Option(names = "--driver-only", description = "Do not park: device memory goes into CRIU's images.")
    private boolean driverOnly;

    @Option(
            names = "--no-sharing-check",
            description = "Save it although a process holds memory of another one: the driver may never restore it.")
    private boolean noSharingCheck;

    @Option(
            names = "--no-checksums",
            description = "Do not compute the checksums that `torpor snapshot verify` compares.")
    private boolean noChecksums;

    @Option(names = "--durable", description = "Wait until all files are on the disk.")
    private boolean durable;

    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Mixin
    private final CriuSettings criu = new CriuSettings();

    private String left() {
        return "Process " + pid + " may sleep with its memory in " + folder
                + ": `torpor state " + pid + "` shows it; to wake it, type `torpor resume --stored-at "
                + folder.toAbsolutePath().resolve("device-memory-" + pid) + " " + pid
                + "` before you delete the directory.";
    }

    @Override
    ExitCode run(Cuda cuda) {
        Save options = Save.defaults()
                .lockTimeout(lockTimeout.value())
                .criu(criu.on(CriuDump.defaults()))
                .checksums(!noChecksums)
                .durable(durable)
                .checkSharing(!noSharingCheck)
                .cancelledBy(torpor().stop().finishesItsStep(left()));
        options = leaveRunning ? options.leaveRunning() : options;
        options = driverOnly ? options.withoutParking() : options;
        SnapshotReport report = Snapshot.save(cuda, pid, folder, options);
        print(report.toString(), Json.of(report));
        return ExitCode.OK;
    }
}
