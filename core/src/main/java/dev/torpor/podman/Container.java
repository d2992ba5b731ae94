package dev.torpor.podman;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What {@code podman container inspect} tells of a container.
 *
 * @param id the whole of it
 * @param name its name
 * @param status like {@code running}
 * @param folder where the runtime's logs and the checkpoint are; null if podman did not tell
 */
record Container(
        String id, String name, String status, @Nullable Path folder) {
    static Container of(PodmanCommand command, String nameOrId) {
        String what = "inspect container " + nameOrId;
        String json = command.ask(what, "container", "inspect", "--", nameOrId);
        try {
            JsonArray all = JsonParser.parseString(json).getAsJsonArray();
            JsonObject one = all.get(0).getAsJsonObject();
            JsonElement folder = one.get("StaticDir");
            return new Container(
                    one.get("Id").getAsString(),
                    one.get("Name").getAsString(),
                    one.getAsJsonObject("State").get("Status").getAsString(),
                    folder == null ? null : Path.of(folder.getAsString()));
        } catch (RuntimeException e) { // Gson throws whatever the shape of the text leads to
            throw new TorporException(
                    Problem.TOOL, "podman could not " + what + ": its answer makes no sense (" + e.getMessage() + ").");
        }
    }

    static Container running(PodmanCommand command, String nameOrId) {
        Container found = of(command, nameOrId);
        if (!found.status.equals("running")) {
            throw new TorporException(
                    Problem.TOOL, "Container " + nameOrId + " is " + found.status + ", not running: start it first.");
        }
        return found;
    }

    /** Where CRIU's log is, of a dump or a restore. */
    @Nullable
    Path log(String action) {
        return folder == null ? null : folder.resolve(action + ".log");
    }
}
