package dev.torpor.examples.cli;

import dev.torpor.GpuGroup;
import dev.torpor.GroupResult;
import dev.torpor.Level;
import dev.torpor.Resume;
import dev.torpor.Step;
import dev.torpor.Suspend;
import java.util.List;
import picocli.CommandLine.Command;

@Command(name = "unlock", description = "One step of the driver: lets locked processes make CUDA calls again.")
final class UnlockCommand extends TransitionCommand {
    @Override
    List<GroupResult> run(GpuGroup group) {
        return group.stepEach(
                Step.UNLOCK, process -> Suspend.to(Level.CHECKPOINT), process -> watched(Resume.defaults(), process));
    }
}
