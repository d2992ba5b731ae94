package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.ProgressListener;
import dev.torpor.Report;
import java.util.Optional;

/** A command that changes the state of processes, with a bar where somebody watches. */
abstract class TransitionCommand extends ProcessCommand {
    abstract Report run(GpuProcess process, Optional<ProgressListener> listener);

    @Override
    final Answer run(Cuda cuda, long pid) {
        GpuProcess process = cuda.process(pid);
        if (json() || !ProgressBar.isWatched()) {
            return answer(run(process, Optional.empty()));
        }
        try (ProgressBar bar = new ProgressBar(line().getErr())) {
            return answer(run(process, Optional.of(bar)));
        }
    }

    private Answer answer(Report report) {
        return new Answer(report.toString(), Json.of(report, line().getCommandName()));
    }
}
