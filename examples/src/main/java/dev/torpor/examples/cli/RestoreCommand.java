package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Resume;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "restore",
        description = "One step of the driver: restores checkpointed processes and leaves them locked.")
final class RestoreCommand extends TransitionCommand {
    @Mixin
    private final MapOption map = new MapOption();

    @Mixin
    private final FormerDevices formerDevices = new FormerDevices();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    private Resume devices = Resume.defaults();

    @Override
    void prepare(Cuda cuda) {
        devices = formerDevices.on(cuda, Resume.defaults().onto(map.on(cuda)));
    }

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        Resume options = memoryCheck.on(stepTimeout.on(devices));
        return process.restore(listener.map(options::onProgress).orElse(options));
    }
}
