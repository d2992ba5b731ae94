package dev.torpor.podman;

import dev.torpor.Resume;
import dev.torpor.tools.Arguments;
import java.nio.file.Path;

/** Options of {@link Podman#restore} and {@link Podman#restoreFrom}; most of them are for the latter alone. */
public final class PodmanRestore extends PodmanOptions<PodmanRestore> {
    private static final PodmanRestore DEFAULT = new PodmanRestore(Arguments.NONE, Resume.defaults());

    private PodmanRestore(Arguments told, Resume resume) {
        super(told, resume);
    }

    /** The container is as it was, and its GPU processes are resumed. */
    public static PodmanRestore defaults() {
        return DEFAULT;
    }

    @Override
    PodmanRestore with(Arguments changed, Resume changedResume) {
        return new PodmanRestore(changed, changedResume);
    }

    /** A container made from an archive has this name ({@code --name}); with a name, there can be several. */
    public PodmanRestore name(String name) {
        return with("--name", name);
    }

    /** It gets into a pod that is there ({@code --pod}). */
    public PodmanRestore pod(String pod) {
        return with("--pod", pod);
    }

    /** It publishes a port, as podman-run(1) writes it ({@code --publish}). */
    public PodmanRestore publish(String ports) {
        return with("--publish", ports);
    }

    /** On top of an exported pre-checkpoint ({@code --import-previous}). */
    public PodmanRestore importPrevious(Path archive) {
        return with("--import-previous", archive.toAbsolutePath().toString());
    }

    /** With another address than {@code --ip} gave it ({@code --ignore-static-ip}). */
    public PodmanRestore ignoreStaticIp() {
        return with("--ignore-static-ip");
    }

    /** With another address than {@code --mac-address} gave it ({@code --ignore-static-mac}). */
    public PodmanRestore ignoreStaticMac() {
        return with("--ignore-static-mac");
    }
}
