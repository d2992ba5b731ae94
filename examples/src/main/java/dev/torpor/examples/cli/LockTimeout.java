package dev.torpor.examples.cli;

import dev.torpor.Suspend;
import java.time.Duration;
import picocli.CommandLine.Option;

/** How long to wait for the work on the GPU. */
final class LockTimeout {
    @Option(
            names = "--timeout",
            paramLabel = "TIME",
            defaultValue = "10s",
            converter = Durations.Lock.class,
            description = "How long to wait for submitted GPU work; 0 waits without limit. Default: ${DEFAULT-VALUE}.")
    private Duration timeout = Duration.ofSeconds(10);

    Duration value() {
        return timeout;
    }

    Suspend on(Suspend options) {
        return options.lockTimeout(timeout);
    }
}
