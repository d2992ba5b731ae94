package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Keeper;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "keep",
        description =
                "Keeps a GPU initialised until SIGINT or SIGTERM, so that other processes start faster. Prints one line"
                        + " that begins with READY.")
final class KeepCommand extends DriverCommand {
    @Mixin
    private final DeviceOption device = new DeviceOption();

    /** The driver lets the GPU go when a signal ends this process; an interrupt ends it in an orderly way. */
    @Override
    ExitCode run(Cuda cuda) {
        try (Keeper keeper = cuda.keep(device.ordinal())) {
            JsonObject json = new JsonObject();
            json.addProperty("ready", true);
            Json.of(keeper.report()).entrySet().forEach(entry -> json.add(entry.getKey(), entry.getValue()));
            print("READY " + keeper.report(), json);
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return ExitCode.OK;
    }
}
