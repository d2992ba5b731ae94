package dev.torpor.examples.cli;

import dev.torpor.Resume;
import dev.torpor.Suspend;
import picocli.CommandLine.Option;

/** Whether memory is looked at before a process is touched. */
final class MemoryCheck {
    @Option(
            names = "--no-memory-check",
            description =
                    "Do not check for free memory first. A restore that runs out of device memory cannot be repeated.")
    private boolean off;

    Suspend on(Suspend options) {
        return options.checkHostMemory(!off);
    }

    Resume on(Resume options) {
        return options.checkDeviceMemory(!off);
    }
}
