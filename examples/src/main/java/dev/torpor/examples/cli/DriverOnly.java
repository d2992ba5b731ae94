package dev.torpor.examples.cli;

import dev.torpor.Suspend;
import picocli.CommandLine.Option;

/** Whether the shim has a part in a suspend. */
final class DriverOnly {
    @Option(
            names = "--driver-only",
            description =
                    "Do not park: the driver moves all device memory itself, at its own speed, even if the process runs with the shim.")
    private boolean on;

    Suspend on(Suspend options) {
        return on ? options.withoutParking() : options;
    }
}
