package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.ProcessState;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "toggle", description = "Suspends running processes and resumes all others.")
final class ToggleCommand extends TransitionCommand {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Mixin
    private final DriverOnly driverOnly = new DriverOnly();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Mixin
    private final MapOption map = new MapOption();

    private Resume up = Resume.defaults();

    @Override
    void prepare(Cuda cuda) {
        up = memoryCheck.on(stepTimeout.on(Resume.defaults().onto(map.on(cuda))));
    }

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        if (!process.state().equals(ProcessState.RUNNING)) {
            return process.resume(listener.map(up::onProgress).orElse(up));
        }
        Suspend down = driverOnly.on(memoryCheck.on(stepTimeout.on(lockTimeout.on(Suspend.to(Level.CHECKPOINT)))));
        return process.suspend(listener.map(down::onProgress).orElse(down));
    }
}
