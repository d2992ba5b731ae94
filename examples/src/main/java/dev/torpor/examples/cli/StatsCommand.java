package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.Shim;
import dev.torpor.ShimStatistics;
import picocli.CommandLine.Command;

@Command(name = "stats", description = "Tells what the shims of processes have done so far.")
final class StatsCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        ShimStatistics statistics = Shim.control(pid).statistics();
        return new Answer(statistics.toString(), Json.of(pid, statistics));
    }
}
