package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import dev.torpor.Suspend;
import java.util.Optional;
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
    Report run(GpuProcess process, Optional<ProgressListener> listener) {
        return process.suspend(listener.map(options::onProgress).orElse(options));
    }
}
