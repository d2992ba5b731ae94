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

@Command(name = "load", description = "Makes the processes of a snapshot anew, and tells their pids.")
final class SnapshotLoadCommand extends DriverCommand {
    @Parameters(paramLabel = "FOLDER", description = "Of the snapshot, which stays as it is.")
    private Path folder = Path.of("");

    @Option(names = "--verify", description = "Compare all bytes with their checksums first.")
    private boolean verify;

    @Option(names = "--no-memory-check", description = "Begin even if memory seems too small.")
    private boolean noMemoryCheck;

    @Option(names = "--skip-file-rwx-check", description = "Also where the mode of a file is not what it was.")
    private boolean skipFileRwxCheck;

    @Mixin
    private final MapOption map = new MapOption();

    @Mixin
    private final CriuSettings criu = new CriuSettings();

    @Override
    ExitCode run(Cuda cuda) {
        CriuRestore restore = criu.on(CriuRestore.defaults());
        SnapshotReport report = Snapshot.open(folder)
                .load(
                        cuda,
                        Load.defaults()
                                .verify(verify)
                                .checkMemory(!noMemoryCheck)
                                .onto(map.on(cuda))
                                .criu(skipFileRwxCheck ? restore.skipFileRwxCheck() : restore));
        String pids = report.pids().stream().map(Object::toString).collect(Collectors.joining(", "));
        print(report + "; process" + (report.pids().size() > 1 ? "es " : " ") + pids, Json.of(report));
        return ExitCode.OK;
    }
}
