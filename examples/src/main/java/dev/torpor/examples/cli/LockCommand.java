package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "lock",
        description = "One step of the driver: waits for submitted work, then blocks further CUDA calls.")
final class LockCommand extends TransitionCommand {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        return process.lock(lockTimeout.value());
    }
}
