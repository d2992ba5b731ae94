package dev.torpor.examples.cli;

import dev.torpor.Cuda;

/** A command that uses the driver. */
abstract class DriverCommand extends TorporCommand {
    static final String SIMULATED = "SIMULATED: this driver is Torpor's simulator, and no GPU is behind it.";

    @Override
    public final Integer call() throws Exception {
        try (Cuda cuda = torpor().open()) {
            ExitCode exit = run(cuda);
            return exit == ExitCode.CANCELLED ? torpor().stop().code() : exit.code();
        }
    }

    /** Says on stderr that no GPU is behind the answer, where stdout is data for a program or a table. */
    final void tellSimulated(Cuda cuda) {
        if (cuda.simulated() && !json()) {
            line().getErr().println(SIMULATED);
        }
    }

    abstract ExitCode run(Cuda cuda) throws Exception;
}
