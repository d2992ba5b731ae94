package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.ProcessState;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "state", description = "Shows the state of processes, and the version of their shim.")
final class StateCommand extends ProcessCommand {
    @Option(
            names = "--step-timeout",
            paramLabel = "TIME",
            converter = Durations.Step.class,
            description =
                    "How long to wait for the driver, which does not answer during a transition. Default: no limit.")
    private @Nullable Duration timeout;

    private boolean told;

    @Override
    Answer run(Cuda cuda, long pid) {
        ProcessState state =
                timeout == null ? cuda.process(pid).state() : cuda.process(pid).state(timeout);
        String shim = Json.shim(pid).map(version -> ", shim " + version).orElse("");
        if (!told) {
            tellSimulated(cuda); // once, and not before an error
            told = true;
        }
        return new Answer(state + shim, Json.state(pid, state, cuda.simulated()));
    }
}
