package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Phase;
import dev.torpor.Shim;
import dev.torpor.examples.Sizes;
import picocli.CommandLine.Command;

@Command(
        name = "prepare",
        description = "Has host memory made for what the shims of processes could park now, so that a park need not.")
final class PrepareCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        Phase phase = Shim.control(pid).prepare();
        JsonObject json = Json.of(phase);
        json.addProperty("pid", pid);
        return new Answer(Sizes.text(phase.bytes().orElse(0)) + " of host memory are ready", json);
    }
}
