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

@Command(name = "unpark", description = "Moves the memory of parked processes back to the GPU.")
final class UnparkCommand extends TransitionCommand {
    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final StoredAtOption storedAt = new StoredAtOption();

    @Override
    void prepare(Cuda cuda) {
        storedAt.check(line());
    }

    @Override
    List<GroupResult> run(GpuGroup group) {
        Resume options = stepTimeout.on(Resume.defaults());
        return group.stepEach(
                Step.UNPARK,
                process -> Suspend.to(Level.PARK),
                process -> watched(storedAt.on(options, process, several()), process));
    }
}
