package dev.torpor.examples.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "podman", description = "Checkpoints and restores podman's containers, with the GPU processes in them.")
final class PodmanGroup implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    static CommandLine line() {
        return new CommandLine(new PodmanGroup())
                .addSubcommand("checkpoint", new PodmanCheckpointCommand())
                .addSubcommand("restore", new PodmanRestoreCommand())
                .addSubcommand("run-args", new PodmanRunArgsCommand());
    }

    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "Missing command behind podman");
    }
}
