package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.GroupResult;
import dev.torpor.Level;
import dev.torpor.ProcessState;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "toggle",
        description = {
            "Suspends running processes, and resumes all others: first all suspends, then all resumes.",
            "If none of the others can be resumed, the suspended ones are resumed again."
        })
final class ToggleCommand extends TransitionCommand {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Mixin
    private final DriverOnly driverOnly = new DriverOnly();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Mixin
    private final MapOption map = new MapOption();

    private Resume up = Resume.defaults();

    @Override
    void prepare(Cuda cuda) {
        up = memoryCheck.on(stepTimeout.on(Resume.defaults().onto(map.on(cuda))));
    }

    @Override
    List<GroupResult> run(GpuGroup group) {
        return run(group.processes());
    }

    @Override
    List<GroupResult> run(List<GpuProcess> processes) {
        List<GpuProcess> awake = new ArrayList<>();
        List<GpuProcess> asleep = new ArrayList<>();
        List<GroupResult> results = new ArrayList<>();
        for (GpuProcess process : processes) {
            try {
                (process.state().equals(ProcessState.RUNNING) ? awake : asleep).add(process);
            } catch (TorporException e) {
                results.add(failed(process, e));
            }
        }
        List<GroupResult> suspended = awake.isEmpty() ? List.of() : suspend(awake);
        List<GroupResult> resumed = asleep.isEmpty() ? List.of() : resume(asleep);
        boolean pointless = !resumed.isEmpty()
                && resumed.stream().allMatch(result -> result.report().isEmpty());
        results.addAll(pointless ? wokenAgain(suspended, resumed.get(0)) : suspended);
        results.addAll(resumed);
        return results;
    }

    private List<GroupResult> suspend(List<GpuProcess> awake) {
        Suspend down = driverOnly.on(memoryCheck.on(stepTimeout.on(lockTimeout.on(Suspend.to(Level.CHECKPOINT)))));
        return GpuGroup.of(awake).suspendEach(process -> watched(down, process));
    }

    private List<GroupResult> resume(List<GpuProcess> asleep) {
        return GpuGroup.of(asleep).resumeEach(process -> watched(up, process));
    }

    /** The room that they gave was of no use to the others. */
    private static List<GroupResult> wokenAgain(List<GroupResult> suspended, GroupResult cause) {
        List<GpuProcess> slept = suspended.stream()
                .filter(result -> result.report().isPresent())
                .map(GroupResult::process)
                .toList();
        List<GroupResult> results = new ArrayList<>(suspended);
        results.removeIf(result -> result.report().isPresent());
        if (!slept.isEmpty()) {
            for (GroupResult woken : GpuGroup.of(slept).resumeEach(process -> Resume.defaults())) {
                results.add(undone(woken, cause));
            }
        }
        return results;
    }

    private static GroupResult undone(GroupResult woken, GroupResult cause) {
        String end = woken.failure().isPresent()
                ? "could not be resumed: " + woken.failure().get().getMessage()
                : "runs again.";
        String message = "Process " + woken.process().pid() + " was suspended for process "
                + cause.process().pid() + ", which could not be resumed, and " + end;
        return failed(
                woken.process(),
                new TorporException(cause.failure().orElseThrow().problem(), message));
    }

    private static GroupResult failed(GpuProcess process, TorporException failure) {
        return new GroupResult(process, Optional.empty(), Optional.of(failure));
    }
}
