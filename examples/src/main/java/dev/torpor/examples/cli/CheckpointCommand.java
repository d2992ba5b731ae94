package dev.torpor.examples.cli;

import dev.torpor.GpuGroup;
import dev.torpor.GroupResult;
import dev.torpor.Level;
import dev.torpor.Resume;
import dev.torpor.Step;
import dev.torpor.Suspend;
import java.util.List;
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
    List<GroupResult> run(GpuGroup group) {
        Suspend options = memoryCheck.on(stepTimeout.on(Suspend.to(Level.CHECKPOINT)));
        return group.stepEach(Step.CHECKPOINT, process -> watched(options, process), process -> Resume.defaults());
    }
}
