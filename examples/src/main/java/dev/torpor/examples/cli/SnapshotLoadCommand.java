package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.criu.CriuRestore;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.nio.file.Path;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "load", description = "Restores the processes of a snapshot and prints their pids.")
final class SnapshotLoadCommand extends DriverCommand {
    @Parameters(paramLabel = "DIR", description = "Directory of the snapshot, which is not changed.")
    private Path folder = Path.of("");

    @Option(names = "--verify", description = "Compare all files with their checksums first.")
    private boolean verify;

    @Option(names = "--no-memory-check", description = "Do not check for free memory first.")
    private boolean noMemoryCheck;

    @Option(names = "--skip-file-rwx-check", description = "Also if the mode of a file has changed since the save.")
    private boolean skipFileRwxCheck;

    @Mixin
    private final MapOption map = new MapOption();

    @Mixin
    private final CriuSettings criu = new CriuSettings();

    private static final String LEFT =
            "Processes of the snapshot may run or sleep: `torpor ps` lists them; `torpor resume PID` wakes one that sleeps.";

    @Override
    ExitCode run(Cuda cuda) {
        CriuRestore restore = criu.on(CriuRestore.defaults());
        SnapshotReport report = Snapshot.open(folder)
                .load(
                        cuda,
                        Load.defaults()
                                .verify(verify)
                                .checkMemory(!noMemoryCheck)
                                .cancelledBy(torpor().stop().finishesItsStep(LEFT))
                                .onto(map.on(cuda))
                                .criu(skipFileRwxCheck ? restore.skipFileRwxCheck() : restore));
        String pids = report.pids().stream().map(Object::toString).collect(Collectors.joining(", "));
        print(report + "; process" + (report.pids().size() > 1 ? "es " : " ") + pids, Json.of(report));
        return ExitCode.OK;
    }
}
