package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import java.util.Optional;
import picocli.CommandLine.Command;

@Command(name = "unlock", description = "One step: lets the calls of locked processes through again.")
final class UnlockCommand extends TransitionCommand {
    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        return process.unlock();
    }
}
