package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Suspend;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "checkpoint",
        description = "One step of the driver: moves the device memory of locked processes to the host.")
final class CheckpointCommand extends TransitionCommand {
    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        Suspend options = memoryCheck.on(stepTimeout.on(Suspend.to(Level.CHECKPOINT)));
        return process.checkpoint(listener.map(options::onProgress).orElse(options));
    }
}
