package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.Keeper;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "keep",
        description =
                "Keeps a GPU initialised until SIGINT, SIGTERM or SIGHUP, and then ends with 0, so that other processes start faster. Prints one line"
                        + " that begins with READY.")
final class KeepCommand extends DriverCommand {
    @Mixin
    private final DeviceOption device = new DeviceOption();

    /** A signal or an interrupt ends it in an orderly way. */
    @Override
    ExitCode run(Cuda cuda) {
        try (Keeper keeper = cuda.keep(device.ordinal())) {
            JsonObject json = new JsonObject();
            json.addProperty("ready", true);
            Json.of(keeper.report()).entrySet().forEach(entry -> json.add(entry.getKey(), entry.getValue()));
            torpor().stop().expectSignal();
            print("READY " + keeper.report(), json);
            if (line().getOut().checkError()) {
                return ExitCode.OUTPUT; // who waits for the line would wait for ever
            }
            torpor().stop().awaitExpected();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return ExitCode.OK;
    }
}
