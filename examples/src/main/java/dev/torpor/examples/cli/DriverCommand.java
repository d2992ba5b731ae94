package dev.torpor.examples.cli;

import dev.torpor.Cuda;

/** A command that uses the driver. */
abstract class DriverCommand extends TorporCommand {
    static final String SIMULATED = "SIMULATED: this driver is Torpor's simulator, and no GPU is behind it.";

    @Override
    public final Integer call() throws Exception {
        try (Cuda cuda = torpor().open()) {
            return run(cuda).code();
        }
    }

    abstract ExitCode run(Cuda cuda) throws Exception;
}
