package dev.torpor.examples.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

@Command(name = "podman", description = "Checkpoints and restores podman containers with their GPU processes.")
final class PodmanGroup extends CommandGroup {
    static CommandLine line() {
        return new CommandLine(new PodmanGroup())
                .addSubcommand("checkpoint", new PodmanCheckpointCommand())
                .addSubcommand("restore", new PodmanRestoreCommand())
                .addSubcommand("run-args", new PodmanRunArgsCommand());
    }
}
