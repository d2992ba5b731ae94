package dev.torpor.examples.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

@Command(
        name = "mps",
        description =
                "Shows, starts and stops the control daemon of NVIDIA's Multi-Process Service (MPS). MPS clients cannot be"
                        + " suspended. Does not use the driver.")
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
