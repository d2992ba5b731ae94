package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import dev.torpor.podman.Podman;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParameterException;

@Command(
        name = "run-args",
        description = {
            "Prints the arguments of podman run that start a container with the shim:",
            "podman run $(torpor podman run-args) ... IMAGE"
        })
final class PodmanRunArgsCommand extends TorporCommand {
    @Mixin
    private final ShimSettings settings = new ShimSettings();

    @Mixin
    private final ShimFile file = new ShimFile();

    @Override
    public Integer call() {
        try {
            List<String> arguments = Podman.runArguments(file.shim(), settings.options());
            JsonArray json = new JsonArray();
            arguments.forEach(json::add);
            print(String.join(" ", arguments), json);
            return ExitCode.OK.code();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line(), String.valueOf(e.getMessage()));
        }
    }
}
