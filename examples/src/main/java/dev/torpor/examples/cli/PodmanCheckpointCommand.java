package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.Level;
import dev.torpor.Suspend;
import dev.torpor.podman.PodmanCheckpoint;
import dev.torpor.podman.PodmanReport;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

@Command(name = "checkpoint", description = "Suspends the GPU processes of a container, and has podman checkpoint it.")
final class PodmanCheckpointCommand extends DriverCommand {
    @Parameters(paramLabel = "CONTAINER", description = "Its name or id.")
    private String container = "";

    @Mixin
    private final PodmanSettings settings = new PodmanSettings();

    @Option(names = "--leave-running", description = "The container runs on; its GPU processes are resumed.")
    private boolean leaveRunning;

    @Option(names = "--pre-checkpoint", description = "The memory only, while the container runs on.")
    private boolean preCheckpoint;

    @Option(names = "--with-previous", description = "On top of a pre-checkpoint.")
    private boolean withPrevious;

    @Option(names = "--export", paramLabel = "FILE", description = "Into an archive, to be restored anywhere.")
    private @Nullable Path archive;

    @Option(
            names = "--compress",
            paramLabel = "HOW",
            description = "How the archive is compressed: zstd, gzip or none. Default: zstd.")
    private PodmanCheckpoint.@Nullable Compression compression;

    @Option(
            names = "--store-at",
            paramLabel = "VOLUME",
            description = {
                "A volume, by its path in the container: device memory that the shim parks goes into device-memory-PID there,",
                "and not into CRIU's images. It stays after a restore; remove it when no checkpoint needs it any more."
            })
    private @Nullable Path volume;

    @Mixin
    private final DriverOnly driverOnly = new DriverOnly();

    @Mixin
    private final SuspendOptions suspend = new SuspendOptions();

    @Override
    ExitCode run(Cuda cuda) {
        PodmanCheckpoint options = options(); // a wrong option is told before a missing podman
        PodmanReport.Checkpoint report = settings.podman().checkpoint(cuda, container, options);
        print(report.toString(), Json.of(report));
        return ExitCode.OK;
    }

    private PodmanCheckpoint options() {
        PodmanCheckpoint options = settings.on(PodmanCheckpoint.defaults(), line())
                .suspend(driverOnly.on(suspend.on(Suspend.to(Level.CHECKPOINT), line())));
        options = leaveRunning ? options.leaveRunning() : options;
        options = preCheckpoint ? options.preCheckpoint() : options;
        options = withPrevious ? options.withPrevious() : options;
        options = volume == null ? options : options.storeAt(absolute(volume));
        options = archive == null ? options : options.export(archive);
        return compression == null ? options : options.compress(compression);
    }

    private Path absolute(Path path) {
        if (!path.isAbsolute()) {
            throw new ParameterException(line(), "--store-at " + path + " is not an absolute path in the container");
        }
        return path;
    }
}
