package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Phase;
import dev.torpor.Shim;
import dev.torpor.examples.Sizes;
import picocli.CommandLine.Command;

@Command(
        name = "prepare",
        description =
                "Allocates host memory for the next park of processes, so that the park is faster. Requires the shim.")
final class PrepareCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        Phase phase = Shim.control(pid).prepare();
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.addProperty("operation", "prepare");
        json.addProperty("ms", Json.millis(phase.duration()));
        json.addProperty("readyBytes", phase.bytes().orElse(0));
        return new Answer(Sizes.text(phase.bytes().orElse(0)) + " of host memory are ready", json);
    }
}
