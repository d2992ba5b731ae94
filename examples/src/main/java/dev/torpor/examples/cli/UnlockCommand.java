package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import java.util.Optional;
import picocli.CommandLine.Command;

@Command(name = "unlock", description = "One step of the driver: lets locked processes make CUDA calls again.")
final class UnlockCommand extends TransitionCommand {
    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        return process.unlock();
    }
}
