package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import dev.torpor.podman.Podman;
import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParameterException;

@Command(
        name = "run-args",
        description = {
            "Prints the arguments of podman run that start a container with the shim:",
            "eval podman run \"$(torpor podman run-args)\" ... IMAGE",
            "The shim is put where it outlives a restart of the host, so that the container can be started again: $XDG_DATA_HOME,"
                    + " /var/lib for root, or ~/.local/share."
        })
final class PodmanRunArgsCommand extends TorporCommand {
    @Mixin
    private final ShimSettings settings = new ShimSettings();

    @Mixin
    private final ShimFile file = new ShimFile();

    @Override
    public Integer call() {
        try {
            List<String> arguments = Podman.runArguments(file.durableShim(), settings.options());
            JsonArray json = new JsonArray();
            arguments.forEach(json::add);
            print(arguments.stream().map(ShellWord::of).collect(Collectors.joining(" ")), json);
            return ExitCode.OK.code();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line(), String.valueOf(e.getMessage()));
        }
    }
}
