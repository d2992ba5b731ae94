package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.GroupResult;
import dev.torpor.Level;
import dev.torpor.Suspend;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "park",
        description =
                "Moves the device memory of running processes to the host and leaves their contexts on the GPU. Requires the shim.")
final class ParkCommand extends TransitionCommand {
    @Mixin
    private final SuspendOptions suspend = new SuspendOptions();

    private Suspend options = Suspend.to(Level.PARK);

    @Override
    void prepare(Cuda cuda) {
        options = suspend.on(options, line());
    }

    @Override
    void prepare(GpuProcess process) {
        suspend.prepare(process, several());
    }

    @Override
    void unchanged(GpuProcess process) {
        suspend.unchanged(process, several());
    }

    @Override
    List<GroupResult> run(GpuGroup group) {
        return group.suspendEach(process -> watched(suspend.on(options, process, several()), process));
    }
}
