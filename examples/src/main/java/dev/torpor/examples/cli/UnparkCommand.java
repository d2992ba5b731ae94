package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Resume;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "unpark", description = "Moves the memory of parked processes back to the GPU.")
final class UnparkCommand extends TransitionCommand {
    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        Resume options = stepTimeout.on(Resume.defaults());
        return process.unpark(listener.map(options::onProgress).orElse(options));
    }
}
