package dev.torpor.examples.cli;

import dev.torpor.podman.Podman;
import dev.torpor.podman.PodmanOptions;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** What can be said of a checkpoint and of a restore. The words are podman's. */
final class PodmanSettings {
    @Option(
            names = "--runtime",
            paramLabel = "NAME",
            description = "OCI runtime of the container, for example runc. Default: podman's.")
    private @Nullable String runtime;

    @Option(names = "--keep", description = "Keep logs, statistics and images.")
    private boolean keep;

    @Option(names = "--tcp-established", description = "Also with established TCP connections.")
    private boolean tcpEstablished;

    @Option(names = "--file-locks", description = "Also with locks on files.")
    private boolean fileLocks;

    @Option(names = "--ignore-rootfs", description = "Leave changes of the root file system out of the archive.")
    private boolean ignoreRootfs;

    @Option(names = "--ignore-volumes", description = "Leave volumes out of the archive.")
    private boolean ignoreVolumes;

    @Option(
            names = "--limit",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            description = "How long podman may take before it is killed. Default: 10m.")
    private @Nullable Duration limit;

    Podman podman() {
        Podman podman = Podman.find();
        return runtime == null ? podman : podman.runtime(runtime);
    }

    <T extends PodmanOptions<T>> T on(T defaults, CommandLine line) {
        T options = keep ? defaults.keep() : defaults;
        options = tcpEstablished ? options.tcpEstablished() : options;
        options = fileLocks ? options.fileLocks() : options;
        options = ignoreRootfs ? options.ignoreRootfs() : options;
        options = ignoreVolumes ? options.ignoreVolumes() : options;
        try {
            return limit == null ? options : options.limit(limit);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line, String.valueOf(e.getMessage()));
        }
    }
}
