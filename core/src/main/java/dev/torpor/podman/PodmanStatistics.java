package dev.torpor.podman;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.CriuStatistics;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;

/** What {@code --print-stats} prints about one container: durations in microseconds. What is zero is left out by podman. */
final class PodmanStatistics {
    private final String action;
    private final JsonObject all;
    private final JsonObject container;
    private final JsonObject criu;

    private PodmanStatistics(String action, JsonObject all) {
        this.action = action;
        this.all = all;
        JsonElement containers = all.get("container_statistics");
        container = containers != null
                        && containers.isJsonArray()
                        && !containers.getAsJsonArray().isEmpty()
                ? object(containers.getAsJsonArray().get(0))
                : new JsonObject(); // null after a failure
        criu = object(container.get("criu_statistics"));
    }

    /** @throws TorporException {@link Problem#TOOL} if it is no JSON object */
    static PodmanStatistics parse(String action, String text) {
        try {
            JsonElement json = JsonParser.parseString(text);
            if (json.isJsonObject()) {
                return new PodmanStatistics(action, json.getAsJsonObject());
            }
        } catch (JsonParseException e) {
            throw unreadable(action, text);
        }
        throw unreadable(action, text);
    }

    private static TorporException unreadable(String action, String text) {
        String line = text.strip().lines().findFirst().orElse("nothing");
        return new TorporException(
                Problem.TOOL, "podman has done the " + action + ", and printed no statistics but: " + line + ".");
    }

    private static JsonObject object(@Nullable JsonElement element) {
        return element != null && element.isJsonObject() ? element.getAsJsonObject() : new JsonObject();
    }

    /** The whole id of the container; empty if podman did not tell. */
    String id() {
        JsonElement id = container.get("Id");
        return id != null && id.isJsonPrimitive() ? id.getAsString() : "";
    }

    Duration podman() {
        return micros(all, "podman_" + action + "_duration");
    }

    Duration runtime() {
        return micros(container, "runtime_" + action + "_duration");
    }

    CriuStatistics.Dump dump() {
        return new CriuStatistics.Dump(
                micros(criu, "freezing_time"),
                micros(criu, "frozen_time"),
                micros(criu, "memdump_time"),
                micros(criu, "memwrite_time"),
                number(criu, "pages_scanned"),
                number(criu, "pages_skipped_parent"),
                number(criu, "pages_written"),
                number(criu, "pages_lazy"));
    }

    CriuStatistics.Restore restored() {
        return new CriuStatistics.Restore(
                number(criu, "pages_compared"),
                number(criu, "pages_skipped_cow"),
                micros(criu, "forking_time"),
                micros(criu, "restore_time"),
                number(criu, "pages_restored"));
    }

    private static Duration micros(JsonObject object, String name) {
        return Duration.of(number(object, name), ChronoUnit.MICROS);
    }

    private static long number(JsonObject object, String name) {
        JsonElement value = object.get(name);
        return value != null
                        && value.isJsonPrimitive()
                        && value.getAsJsonPrimitive().isNumber()
                ? value.getAsNumber().longValue()
                : 0;
    }
}
