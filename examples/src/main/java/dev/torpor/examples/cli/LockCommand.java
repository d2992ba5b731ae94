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
        name = "lock",
        description = "One step of the driver: waits for submitted work, then blocks further CUDA calls.")
final class LockCommand extends TransitionCommand {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Override
    List<GroupResult> run(GpuGroup group) {
        Suspend options = lockTimeout.on(Suspend.to(Level.CHECKPOINT));
        return group.stepEach(Step.LOCK, process -> watched(options, process), process -> Resume.defaults());
    }
}
