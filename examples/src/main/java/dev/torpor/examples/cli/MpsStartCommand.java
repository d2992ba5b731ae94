package dev.torpor.examples.cli;

import dev.torpor.mps.Mps;
import dev.torpor.mps.MpsStatus;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "start",
        description =
                "Starts the daemon and prints the environment variables that make a process its client. Creates missing"
                        + " directories for this user only.")
final class MpsStartCommand extends TorporCommand {
    @Mixin
    private final MpsOptions options = new MpsOptions();

    @Override
    public Integer call() {
        Mps mps = options.mps();
        MpsStatus status = mps.start();
        String variables = mps.clientEnvironment().entrySet().stream()
                .sorted(Map.Entry.comparingByKey())
                .map(variable -> "\n" + variable.getKey() + "=" + ShellWord.of(variable.getValue()))
                .collect(Collectors.joining());
        print(status.state() + ": " + status.reason() + variables, Json.of(mps, status));
        return ExitCode.OK.code();
    }
}
