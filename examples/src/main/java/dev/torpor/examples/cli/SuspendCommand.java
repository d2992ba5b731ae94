package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Suspend;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "suspend", description = "Takes running or locked processes off the GPU.")
final class SuspendCommand extends TransitionCommand {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        Suspend options = memoryCheck.on(stepTimeout.on(lockTimeout.on(Suspend.to(Level.CHECKPOINT))));
        return process.suspend(listener.map(options::onProgress).orElse(options));
    }
}
