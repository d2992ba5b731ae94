package dev.torpor.examples.cli;

import dev.torpor.mps.Mps;
import dev.torpor.mps.MpsStatus;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "stop",
        description = "Stops the daemon and waits until it has ended. The daemon waits for its clients.")
final class MpsStopCommand extends TorporCommand {
    @Mixin
    private final MpsOptions options = new MpsOptions();

    @Option(
            names = "--timeout",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            description =
                    "How long to wait for the end; with --force, counted from that moment. Default: ${DEFAULT-VALUE}.",
            defaultValue = "30s")
    private Duration timeout = Duration.ZERO;

    @Option(
            names = "--force",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            description = "Have the daemon kill its servers, and so their clients, after this time in whole seconds."
                    + " Default: never.")
    private @Nullable Duration force;

    @Override
    public Integer call() {
        Mps mps = options.mps();
        if (force == null) {
            mps.quit(timeout);
        } else {
            mps.forceQuit(force, timeout);
        }
        MpsStatus status = mps.status();
        print(status.state() + ": " + status.reason(), Json.of(mps, status));
        return ExitCode.OK.code();
    }
}
