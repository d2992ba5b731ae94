package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.WarmUpReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "warmup", description = "Does what a first use of the GPU costs, and times each phase.")
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
