package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Shim;
import dev.torpor.examples.Sizes;
import picocli.CommandLine.Command;

@Command(name = "release", description = "Gives up host memory that the shims of processes keep for the next park.")
final class ReleaseCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        long bytes = Shim.control(pid).release();
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.addProperty("bytes", bytes);
        return new Answer(Sizes.text(bytes) + " of host memory were given up", json);
    }
}
