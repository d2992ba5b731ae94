package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.WarmUpReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "warmup", description = "Initialises a GPU and shows how long each phase takes.")
final class WarmUpCommand extends DriverCommand {
    @Mixin
    private final DeviceOption device = new DeviceOption();

    @Override
    ExitCode run(Cuda cuda) {
        WarmUpReport report = cuda.warmUp(device.ordinal());
        print(report.toString(), Json.of(report));
        return ExitCode.OK;
    }
}
