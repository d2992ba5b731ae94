package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GroupResult;
import dev.torpor.Resume;
import java.util.List;
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

    @Mixin
    private final StoredAtOption storedAt = new StoredAtOption();

    private Resume options = Resume.defaults();

    @Override
    void prepare(Cuda cuda) {
        storedAt.check(line());
        options = memoryCheck.on(
                stepTimeout.on(formerDevices.on(cuda, Resume.defaults().onto(map.on(cuda)))));
    }

    @Override
    List<GroupResult> run(GpuGroup group) {
        return group.resumeEach(process -> watched(storedAt.on(options, process, several()), process));
    }
}
