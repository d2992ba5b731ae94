package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Shim;
import dev.torpor.examples.Sizes;
import picocli.CommandLine.Command;

@Command(
        name = "release",
        description = "Frees the host memory that is kept for the next park of processes. Requires the shim.")
final class ReleaseCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        long bytes = Shim.control(pid).release();
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.addProperty("operation", "release");
        json.addProperty("releasedBytes", bytes);
        return new Answer(Sizes.text(bytes) + " of host memory were given up", json);
    }
}
