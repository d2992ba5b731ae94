package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.TorporException;
import dev.torpor.mps.Mps;
import dev.torpor.mps.MpsStatus;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "status",
        description =
                "Shows whether the daemon is running, absent, stale or unreachable, and lists its servers and clients.")
final class MpsStatusCommand extends TorporCommand {
    @Mixin
    private final MpsOptions options = new MpsOptions();

    @Override
    public Integer call() {
        Mps mps = options.mps();
        MpsStatus status = mps.status();
        String text = status.state() + ": " + status.reason();
        JsonObject json = Json.of(mps, status);
        if (!status.running()) {
            print(text, json);
            return ExitCode.OK.code();
        }
        try {
            Map<Long, List<Long>> servers = servers(mps);
            json.add("servers", json(servers));
            print(text + servers.entrySet().stream().map(MpsStatusCommand::line).collect(Collectors.joining()), json);
        } catch (TorporException e) { // that it runs was told by files, and needs no program
            json.addProperty("note", e.getMessage());
            print(text + "\n" + e.getMessage(), json);
        }
        return ExitCode.OK.code();
    }

    private static Map<Long, List<Long>> servers(Mps mps) {
        Map<Long, List<Long>> servers = new LinkedHashMap<>();
        for (long server : mps.servers()) {
            servers.put(server, mps.clients(server));
        }
        return servers;
    }

    private static String line(Map.Entry<Long, List<Long>> server) {
        String clients = server.getValue().stream().map(Object::toString).collect(Collectors.joining(", "));
        return "\nserver " + server.getKey() + ": " + (clients.isEmpty() ? "no clients" : "clients " + clients);
    }

    private static JsonArray json(Map<Long, List<Long>> servers) {
        JsonArray all = new JsonArray();
        servers.forEach((pid, clients) -> {
            JsonArray pids = new JsonArray();
            clients.forEach(pids::add);
            JsonObject server = new JsonObject();
            server.addProperty("pid", pid);
            server.add("clients", pids);
            all.add(server);
        });
        return all;
    }
}
