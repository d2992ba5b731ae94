package dev.torpor.examples.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

@Command(name = "snapshot", description = "Saves processes to disk and restores them.")
final class SnapshotGroup extends CommandGroup {
    static CommandLine line() {
        return new CommandLine(new SnapshotGroup())
                .addSubcommand("save", new SnapshotSaveCommand())
                .addSubcommand("load", new SnapshotLoadCommand())
                .addSubcommand("show", new SnapshotShowCommand())
                .addSubcommand("verify", new SnapshotVerifyCommand());
    }
}
