package dev.torpor.examples.cli;

import dev.torpor.Cancellation;
import dev.torpor.Cuda;
import dev.torpor.Level;
import dev.torpor.Suspend;
import dev.torpor.podman.PodmanCheckpoint;
import dev.torpor.podman.PodmanReport;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

@Command(name = "checkpoint", description = "Suspends the GPU processes of a container and checkpoints it with podman.")
final class PodmanCheckpointCommand extends DriverCommand {
    @Parameters(paramLabel = "CONTAINER", description = "Name or id.")
    private String container = "";

    @Mixin
    private final PodmanSettings settings = new PodmanSettings();

    @Option(names = "--leave-running", description = "Let the container run on; its GPU processes are resumed.")
    private boolean leaveRunning;

    @Option(names = "--pre-checkpoint", description = "Save the memory only, while the container runs on.")
    private boolean preCheckpoint;

    @Option(names = "--with-previous", description = "Save what has changed since a pre-checkpoint.")
    private boolean withPrevious;

    @Option(
            names = "--export",
            paramLabel = "FILE",
            description = "Write an archive that can be restored on another host.")
    private @Nullable Path archive;

    @Option(
            names = "--compress",
            paramLabel = "HOW",
            converter = Compressions.class,
            description = "Compression of the archive: zstd, gzip or none. Default: zstd.")
    private PodmanCheckpoint.@Nullable Compression compression;

    @Option(
            names = "--store-at",
            paramLabel = "VOLUME",
            description = {
                "A volume, by its path in the container: parked device memory goes into the directory device-memory-PID there,",
                "not into CRIU's images. The restore removes that directory, unless it has --keep. It is not part of an",
                "exported archive."
            })
    private @Nullable Path volume;

    @Mixin
    private final DriverOnly driverOnly = new DriverOnly();

    @Mixin
    private final SuspendOptions suspend = new SuspendOptions();

    static final class Compressions implements ITypeConverter<PodmanCheckpoint.Compression> {
        @Override
        public PodmanCheckpoint.Compression convert(String text) {
            for (PodmanCheckpoint.Compression compression : PodmanCheckpoint.Compression.values()) {
                if (compression.name().toLowerCase(Locale.ROOT).equals(text)) {
                    return compression;
                }
            }
            throw new TypeConversionException("'" + text + "' is not a compression: use zstd, gzip or none");
        }
    }

    @Override
    ExitCode run(Cuda cuda) {
        Cancellation cancellation = torpor().stop()
                .finishesItsStep("podman may still checkpoint container " + container
                        + ": `podman ps --all` shows it; `torpor ps` lists GPU processes in it that sleep, and"
                        + " `torpor resume PID` wakes them.");
        PodmanCheckpoint options = options(cancellation); // a wrong option is told before a missing podman
        PodmanReport.Checkpoint report = settings.podman().checkpoint(cuda, container, options);
        print(report.toString(), Json.of(report));
        return ExitCode.OK;
    }

    private PodmanCheckpoint options(Cancellation cancellation) {
        PodmanCheckpoint options = settings.on(PodmanCheckpoint.defaults(), line())
                .suspend(driverOnly
                        .on(suspend.on(Suspend.to(Level.CHECKPOINT), line()))
                        .cancelledBy(cancellation));
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
