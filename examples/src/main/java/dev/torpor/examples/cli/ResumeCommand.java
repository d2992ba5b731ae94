package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Resume;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "resume", description = "Resumes checkpointed, locked or parked processes.")
final class ResumeCommand extends TransitionCommand {
    @Mixin
    private final MapOption map = new MapOption();

    @Mixin
    private final FormerDevices formerDevices = new FormerDevices();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    private Resume options = Resume.defaults();

    @Override
    void prepare(Cuda cuda) {
        options = memoryCheck.on(
                stepTimeout.on(formerDevices.on(cuda, Resume.defaults().onto(map.on(cuda)))));
    }

    @Override
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        return process.resume(listener.map(options::onProgress).orElse(options));
    }
}
