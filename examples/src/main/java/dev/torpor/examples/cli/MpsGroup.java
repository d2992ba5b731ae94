package dev.torpor.examples.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

@Command(
        name = "mps",
        description =
                "Tells of, starts and stops a control daemon of NVIDIA's Multi-Process Service, whose clients cannot be"
                        + " suspended. Needs no driver.")
final class MpsGroup extends CommandGroup {
    static CommandLine line() {
        CommandLine line = new CommandLine(new MpsGroup());
        line.addSubcommand("status", new MpsStatusCommand());
        line.addSubcommand("start", new MpsStartCommand());
        line.addSubcommand("stop", new MpsStopCommand());
        line.addSubcommand("unit", new MpsUnitCommand());
        return line;
    }
}
