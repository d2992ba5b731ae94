package dev.torpor.examples.cli;

import dev.torpor.Resume;
import dev.torpor.Suspend;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How long to wait for the driver. */
final class StepTimeout {
    @Option(
            names = "--step-timeout",
            paramLabel = "TIME",
            converter = Durations.Step.class,
            description = "How long to wait for the driver in each step. Default: no limit.")
    private @Nullable Duration timeout;

    Suspend on(Suspend options) {
        return timeout == null ? options : options.stepTimeout(timeout);
    }

    Resume on(Resume options) {
        return timeout == null ? options : options.stepTimeout(timeout);
    }
}
