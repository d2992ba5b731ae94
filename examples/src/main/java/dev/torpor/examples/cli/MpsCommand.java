package dev.torpor.examples.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "mps",
        description =
                "Tells of, starts and stops a control daemon of NVIDIA's Multi-Process Service, whose clients cannot be"
                        + " suspended. Needs no driver.")
final class MpsCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    static CommandLine line() {
        CommandLine line = new CommandLine(new MpsCommand());
        line.addSubcommand("status", new MpsStatusCommand());
        line.addSubcommand("start", new MpsStartCommand());
        line.addSubcommand("stop", new MpsStopCommand());
        line.addSubcommand("unit", new MpsUnitCommand());
        return line;
    }

    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "Missing command");
    }
}
