package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.ProcessState;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "state", description = "Asks the driver, and the shim where there is one, for the state of processes.")
final class StateCommand extends ProcessCommand {
    @Option(
            names = "--step-timeout",
            paramLabel = "TIME",
            converter = Durations.Step.class,
            description =
                    "How long to wait for the driver, which answers at the end of a transition. Default: for ever.")
    private @Nullable Duration timeout;

    @Override
    Answer run(Cuda cuda, long pid) {
        ProcessState state =
                timeout == null ? cuda.process(pid).state() : cuda.process(pid).state(timeout);
        String shim = Json.shim(pid).map(version -> ", shim " + version).orElse("");
        return new Answer(
                state + shim + (cuda.simulated() ? " (SIMULATED)" : ""), Json.state(pid, state, cuda.simulated()));
    }
}
