package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.GpuDevice;
import dev.torpor.examples.Sizes;
import java.util.Optional;
import picocli.CommandLine.Command;

@Command(name = "devices", description = "Lists the GPUs.")
final class DevicesCommand extends DriverCommand {
    @Override
    ExitCode run(Cuda cuda) {
        Table table = new Table("GPU", "UUID", "NAME", "MEMORY", "FREE", "COMPUTE");
        JsonArray all = new JsonArray();
        for (GpuDevice device : cuda.devices()) {
            Optional<Long> free = cuda.freeBytes(device.uuid());
            table.add(
                    Integer.toString(device.ordinal()),
                    device.uuid().toString(),
                    device.name(),
                    Sizes.text(device.totalBytes()),
                    free.map(Sizes::text).orElse("?"),
                    capability(device));
            all.add(json(device, free, cuda.simulated()));
        }
        tellSimulated(cuda);
        print(table.toString(), all);
        return ExitCode.OK;
    }

    private static String capability(GpuDevice device) {
        return device.computeCapability() / 10 + "." + device.computeCapability() % 10;
    }

    private static JsonObject json(GpuDevice device, Optional<Long> free, boolean simulated) {
        JsonObject json = new JsonObject();
        json.addProperty("ordinal", device.ordinal());
        json.addProperty("uuid", device.uuid().toString());
        json.addProperty("name", device.name());
        json.addProperty("totalBytes", device.totalBytes());
        free.ifPresent(bytes -> json.addProperty("freeBytes", bytes));
        json.addProperty("computeCapability", capability(device));
        json.addProperty("simulated", simulated);
        return json;
    }
}
