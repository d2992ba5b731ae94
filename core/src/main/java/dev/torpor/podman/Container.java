package dev.torpor.podman;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What {@code podman container inspect} tells of a container.
 *
 * @param id the whole of it
 * @param name its name
 * @param status like {@code running}
 * @param folder where the runtime's logs and the checkpoint are; null if podman did not tell
 * @param mounts folders of the host that are mounted in it, by where they are inside
 */
record Container(
        String id, String name, String status, @Nullable Path folder, Map<String, Path> mounts) {
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
                    folder == null ? null : Path.of(folder.getAsString()),
                    mounts(one));
        } catch (RuntimeException e) { // Gson throws whatever the shape of the text leads to
            throw new TorporException(
                    Problem.TOOL,
                    "podman could not " + what + ": its answer is not that of `podman container inspect`.");
        }
    }

    private static Map<String, Path> mounts(JsonObject container) {
        Map<String, Path> mounts = new HashMap<>();
        if (container.has("Mounts")) {
            for (JsonElement mount : container.getAsJsonArray("Mounts")) {
                JsonObject one = mount.getAsJsonObject();
                if (one.has("Source") && one.has("Destination")) {
                    mounts.put(
                            one.get("Destination").getAsString(),
                            Path.of(one.get("Source").getAsString()));
                }
            }
        }
        return Map.copyOf(mounts);
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
