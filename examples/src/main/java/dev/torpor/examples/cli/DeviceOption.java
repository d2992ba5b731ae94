package dev.torpor.examples.cli;

import picocli.CommandLine.Option;

/** Which GPU. */
final class DeviceOption {
    @Option(
            names = "--device",
            paramLabel = "N",
            defaultValue = "0",
            description = "Ordinal of the GPU, as in `torpor devices`. Default: ${DEFAULT-VALUE}.")
    private int ordinal;

    int ordinal() {
        return ordinal;
    }
}
