package dev.torpor.examples.cli;

import dev.torpor.Cuda;
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
    List<GroupResult> run(GpuGroup group) {
        Resume options = memoryCheck.on(stepTimeout.on(devices));
        return group.stepEach(
                Step.RESTORE, process -> Suspend.to(Level.CHECKPOINT), process -> watched(options, process));
    }
}
