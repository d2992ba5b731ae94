package dev.torpor.examples.cli;

import dev.torpor.Cancellation;
import dev.torpor.Cuda;
import dev.torpor.Resume;
import dev.torpor.podman.Podman;
import dev.torpor.podman.PodmanReport;
import dev.torpor.podman.PodmanRestore;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

@Command(name = "restore", description = "Restores a container with podman and resumes its GPU processes.")
final class PodmanRestoreCommand extends DriverCommand {
    @Parameters(paramLabel = "CONTAINER", arity = "0..1", description = "Name or id.")
    private @Nullable String container;

    @Option(
            names = "--import",
            paramLabel = "FILE",
            description = "Restore from an archive that a checkpoint has exported, instead of a container.")
    private @Nullable Path archive;

    @Mixin
    private final PodmanSettings settings = new PodmanSettings();

    @Option(names = "--name", paramLabel = "NAME", description = "Name of the imported container.")
    private @Nullable String name;

    @Option(names = "--pod", paramLabel = "POD", description = "Pod of the imported container.")
    private @Nullable String pod;

    @Option(names = "--publish", paramLabel = "PORTS", description = "Ports that the imported container publishes.")
    private List<String> ports = List.of();

    @Option(names = "--import-previous", paramLabel = "FILE", description = "Archive of a pre-checkpoint.")
    private @Nullable Path previous;

    @Option(names = "--ignore-static-ip", description = "Let the imported container have another IP address.")
    private boolean ignoreIp;

    @Option(names = "--ignore-static-mac", description = "Let the imported container have another MAC address.")
    private boolean ignoreMac;

    @Mixin
    private final MapOption map = new MapOption();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Override
    ExitCode run(Cuda cuda) {
        if ((container == null) == (archive == null)) {
            throw new ParameterException(line(), "Name a container, or an archive with --import");
        }
        PodmanRestore options = options(cuda); // a wrong option is told before a missing podman
        Cancellation unused = torpor().stop()
                .finishesItsStep(
                        "podman may still restore the container: `podman ps` shows it; `torpor ps` lists GPU processes"
                                + " in it that sleep, and `torpor resume PID` wakes them.");
        Podman podman = settings.podman();
        PodmanReport.Restore report = container != null
                ? podman.restore(cuda, container, options)
                : podman.restoreFrom(cuda, archive, options);
        print(report.toString(), Json.of(report));
        return ExitCode.OK;
    }

    private PodmanRestore options(Cuda cuda) {
        PodmanRestore options = settings.on(PodmanRestore.defaults(), line())
                .resume(memoryCheck.on(stepTimeout.on(Resume.defaults().onto(map.on(cuda)))));
        options = name == null ? options : options.name(name);
        options = pod == null ? options : options.pod(pod);
        options = previous == null ? options : options.importPrevious(previous);
        options = ignoreIp ? options.ignoreStaticIp() : options;
        options = ignoreMac ? options.ignoreStaticMac() : options;
        for (String port : ports) {
            options = options.publish(port);
        }
        return options;
    }
}
