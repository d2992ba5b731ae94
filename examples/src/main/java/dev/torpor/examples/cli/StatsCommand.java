package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.Shim;
import dev.torpor.ShimStatistics;
import picocli.CommandLine.Command;

@Command(name = "stats", description = "Shows the counters of the shim in processes.")
final class StatsCommand extends ProcessCommand {
    @Override
    Answer run(Cuda cuda, long pid) {
        ShimStatistics statistics = Shim.control(pid).statistics();
        return new Answer(statistics.toString(), Json.of(pid, statistics));
    }
}
