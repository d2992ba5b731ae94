package dev.torpor.examples.cli;

import dev.torpor.Suspend;
import picocli.CommandLine.Option;

/** Whether the shim has a part in a suspend. */
final class DriverOnly {
    @Option(
            names = "--driver-only",
            description =
                    "Leave the shim aside, also where a process carries it: the driver does it all, at its own speed.")
    private boolean on;

    Suspend on(Suspend options) {
        return on ? options.withoutParking() : options;
    }
}
