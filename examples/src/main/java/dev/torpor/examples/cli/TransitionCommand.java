package dev.torpor.examples.cli;

import dev.torpor.Cancellation;
import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.GroupResult;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A command that changes the state of processes, all of them as one group, with a bar where somebody watches. The first Ctrl-C has it
 * finish the step under way and undo the transition.
 */
abstract class TransitionCommand extends ProcessCommand {
    private @Nullable ProgressBar bar;
    private Cancellation cancellation = new Cancellation();
    private boolean several;

    /** The transition of a group; a result for each of its processes. */
    abstract List<GroupResult> run(GpuGroup group);

    /** The transition of those that are there; {@code toggle} makes two groups of them. */
    List<GroupResult> run(List<GpuProcess> processes) {
        return run(GpuGroup.of(processes));
    }

    /** What a process needs before it is touched. */
    void prepare(GpuProcess process) {}

    /** Cleans up after a process that was not changed. */
    void unchanged(GpuProcess process) {}

    /** Whether there is more than one process, so that a directory is needed for each. */
    final boolean several() {
        return several;
    }

    final Suspend watched(Suspend options, GpuProcess process) {
        Suspend cancelled = options.cancelledBy(cancellation);
        return bar == null ? cancelled : cancelled.onProgress(bar.of(process.pid()));
    }

    final Resume watched(Resume options, GpuProcess process) {
        Resume cancelled = options.cancelledBy(cancellation);
        return bar == null ? cancelled : cancelled.onProgress(bar.of(process.pid()));
    }

    @Override
    final Map<Long, Result> results(Cuda cuda, List<Long> distinct) {
        several = distinct.size() > 1;
        Map<Long, Result> results = new LinkedHashMap<>();
        List<GpuProcess> processes = new ArrayList<>();
        for (long pid : distinct) {
            try {
                GpuProcess process = cuda.process(pid);
                prepare(process);
                processes.add(process);
            } catch (TorporException e) {
                results.put(pid, new Result(null, e));
            }
        }
        if (!processes.isEmpty()) {
            cancellation = torpor().stop().finishesItsStep(left(distinct));
            for (GroupResult result : watched(processes)) {
                if (result.report().isEmpty()) {
                    unchanged(result.process());
                }
                results.put(
                        result.process().pid(),
                        new Result(
                                result.report()
                                        .map(report ->
                                                new Answer(report.toString(), Json.of(report, line().getCommandName())))
                                        .orElse(null),
                                result.failure().orElse(null)));
            }
        }
        return results;
    }

    private static String left(List<Long> pids) {
        String all = pids.stream().map(Object::toString).collect(Collectors.joining(" "));
        return "The step under way may still end by itself: `torpor state " + all
                + "` shows where it left the process, and `torpor resume " + all
                + "` lets a process that sleeps run on.";
    }

    private List<GroupResult> watched(List<GpuProcess> processes) {
        if (json() || !ProgressBar.isWatched()) {
            return run(processes);
        }
        try (ProgressBar shown = ProgressBar.onTerminal(line().getErr(), torpor().stop()::isRequested)) {
            bar = shown;
            return run(processes);
        } finally {
            bar = null;
        }
    }
}
