package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import dev.torpor.Shim;
import dev.torpor.podman.Podman;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "run-args",
        description = {
            "Prints the arguments that have a container carry the shim:",
            "podman run $(torpor podman run-args) ... IMAGE"
        })
final class PodmanRunArgsCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Mixin
    private final ShimSettings settings = new ShimSettings();

    @Option(names = "--shim", paramLabel = "FILE", description = "The shim. Default: the one of this version.")
    private @Nullable Path library;

    @Override
    public Integer call() {
        try {
            Shim shim = library == null ? Shim.extract() : Shim.at(library);
            List<String> arguments = Podman.runArguments(shim, settings.options());
            JsonArray json = new JsonArray();
            arguments.forEach(json::add);
            boolean wanted = ((Torpor) spec.root().userObject()).json();
            spec.commandLine().getOut().println(wanted ? json : String.join(" ", arguments));
            return ExitCode.OK.code();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()));
        }
    }
}
