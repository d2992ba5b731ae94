package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.IntSupplier;

/** One run of a plan: check everything, do the steps and time each, and on a failure walk back to where it began. */
final class Transition {
    private static final int GPU_PAIRS_VERSION = 13000;

    private final Cuda cuda;
    private final CudaDriver driver;
    private final Preflight preflight;
    private final Plan plan;
    private final int pid;
    private final long begin = System.nanoTime();
    private final List<Phase> done = new ArrayList<>();
    private final List<Phase> undone = new ArrayList<>();
    private ProcessState start = ProcessState.UNKNOWN;
    private ProcessState reached = ProcessState.UNKNOWN;
    private ProcessState end = ProcessState.UNKNOWN;
    private Duration checks = Duration.ZERO;
    private long queryNanos;
    private long residentBefore;
    private Map<GpuUuid, Long> heldBefore = Map.of();
    private OptionalLong deviceBytes = OptionalLong.empty();
    private byte[] gpuPairs = new byte[0];

    Transition(Cuda cuda, Preflight preflight, Plan plan) {
        this.cuda = cuda;
        this.driver = cuda.driver();
        this.preflight = preflight;
        this.plan = plan;
        this.pid = (int) preflight.pid();
    }

    /**
     * Does once, to no effect, what surrounds the driver's calls: the first use of a class or of a native function costs a JVM
     * milliseconds, which are better spent when a handle is made than while a process waits.
     */
    static void rehearse(Cuda cuda, Preflight preflight) {
        Transition rehearsal = new Transition(cuda, preflight, Plan.suspend(Suspend.defaults()));
        new StateQuery(cuda.driver(), (int) ProcessHandle.current().pid(), new int[1]).getAsInt();
        try (ProgressMeter meter = ProgressMeter.start(Optional.empty(), preflight, 0, OptionalLong.empty())) {
            meter.end();
            rehearsal.check(Step.path(ProcessState.RUNNING, ProcessState.CHECKPOINTED));
            preflight.readFreeMemory();
            cuda.persistent();
        } catch (TorporException e) {
            return; // the real checks will tell
        }
        rehearsal.done.add(Phase.of("rehearsal", 0));
        rehearsal.report(Optional.empty());
    }

    Report run() {
        preflight.identify();
        start = query();
        reached = start;
        List<Step> steps = plan.steps(start);
        if (steps.isEmpty()) {
            throw wrongState();
        }
        check(steps);
        checks = Duration.ofNanos(System.nanoTime() - begin);
        try (ProgressMeter meter = ProgressMeter.start(plan.listener(), preflight, residentBefore, deviceBytes)) {
            for (Step step : steps) {
                int result = timed(step, done, meter);
                if (result != CudaResult.SUCCESS) {
                    throw failed(step, result, meter);
                }
            }
        } catch (Bounded.Overdue e) {
            throw unresponsive(steps.get(done.size()));
        }
        end = stateNow(); // what succeeded has succeeded, even if the process ends at once
        if (end.equals(ProcessState.RUNNING)) {
            deviceBytes = known(preflight.deviceMemory());
        } else if (end.equals(ProcessState.CHECKPOINTED)) {
            preflight.rememberSuspended(heldBefore);
        }
        return report(Optional.empty());
    }

    private ProcessState query() {
        long before = System.nanoTime();
        try {
            return preflight.state(plan.stepTimeout());
        } finally {
            queryNanos += System.nanoTime() - before;
        }
    }

    private void check(List<Step> steps) {
        heldBefore = preflight.deviceMemory();
        deviceBytes = known(heldBefore);
        residentBefore = preflight.proc().residentBytes(pid);
        for (Step step : steps) {
            switch (step) {
                case LOCK -> preflight.checkNoMpsClient();
                case CHECKPOINT -> {
                    if (plan.down().checkHostMemory()) {
                        preflight.checkHostMemory(heldBefore);
                    }
                }
                case RESTORE -> checkRestore();
                case UNLOCK -> {}
            }
        }
    }

    private void checkRestore() {
        DeviceMap map = plan.up().deviceMap();
        if (!map.isSame()) {
            cuda.requireVersion(GPU_PAIRS_VERSION, "GPU pairs", 580);
        }
        DeviceMap complete = preflight.completed(map);
        gpuPairs = complete.toGpuPairs();
        if (plan.up().checkDeviceMemory()) {
            preflight.checkDeviceMemory(complete);
        }
        preflight.prepareRestore();
    }

    private static OptionalLong known(Map<GpuUuid, Long> held) {
        return held.isEmpty() ? OptionalLong.empty() : OptionalLong.of(Preflight.sum(held));
    }

    private int timed(Step step, List<Phase> phases, ProgressMeter meter) throws Bounded.Overdue {
        meter.begin(step);
        long before = System.nanoTime();
        int result = Bounded.call(step + "-" + pid, plan.stepTimeout(), new Call(step));
        Phase phase = Phase.of(step.toString(), System.nanoTime() - before);
        meter.end();
        if (result == CudaResult.SUCCESS) {
            phases.add(phase);
            reached = step.to();
        }
        return result;
    }

    /** A class, since the first lambda of a JVM costs milliseconds. */
    private final class Call implements IntSupplier {
        private final Step step;

        Call(Step step) {
            this.step = step;
        }

        @Override
        public int getAsInt() {
            return switch (step) {
                case LOCK ->
                    driver.cuCheckpointProcessLock(
                            pid, Timeouts.millis(plan.down().lockTimeout()));
                case CHECKPOINT -> driver.cuCheckpointProcessCheckpoint(pid);
                case RESTORE -> driver.cuCheckpointProcessRestore(pid, gpuPairs);
                case UNLOCK -> driver.cuCheckpointProcessUnlock(pid);
            };
        }
    }

    private TorporException wrongState() {
        String advice;
        if (start.equals(ProcessState.FAILED)) {
            advice = "an earlier transition failed for good: end the process and start it again";
        } else if (!start.isKnown()) {
            advice = "this version of Torpor does not know that state: leave the process to what brought it there";
        } else if (start.equals(plan.goal())) {
            advice = "there is nothing to do";
        } else {
            advice = plan.undo() ? "resume it first" : "suspend it first";
        }
        return new TorporException(
                Problem.WRONG_STATE,
                "Process " + pid + " is " + start + ", and " + plan.operation() + " does not begin there: " + advice
                        + ".");
    }

    private TorporException failed(Step step, int result, ProgressMeter meter) {
        Failure failure = Failure.of(driver, preflight, plan, step, result);
        String undoing = plan.undo() ? undo(meter) : "";
        end = stateNow();
        String message = failure.sentence() + undoing + stands();
        return new TorporException(failure.problem(), result, message, report(Optional.of(message)));
    }

    /** Back to the state before, from wherever the driver says that the failure left the process, or else from the last step done. */
    private String undo(ProgressMeter meter) {
        gpuPairs = new byte[0];
        ProcessState now = stateNow();
        for (Step step : Step.path(now.equals(ProcessState.UNKNOWN) ? reached : now, start)) {
            try {
                int result = timed(step, undone, meter);
                if (result != CudaResult.SUCCESS) {
                    return " Undoing it failed too: " + step.function() + " answered " + Calls.words(driver, result)
                            + ".";
                }
            } catch (Bounded.Overdue e) {
                return " Undoing it did not end in time: " + step.function() + " still runs.";
            }
        }
        return "";
    }

    private ProcessState stateNow() {
        try {
            return preflight.alive() ? query() : ProcessState.UNKNOWN;
        } catch (TorporException e) {
            return ProcessState.UNKNOWN;
        }
    }

    private String stands() {
        if (!preflight.alive()) {
            return "";
        }
        return end.equals(ProcessState.UNKNOWN)
                ? " Its state is unknown."
                : end.equals(start) ? " It is still " + end + "." : " It is " + end + " now.";
    }

    private TorporException unresponsive(Step step) {
        String message = step.function() + "(pid " + pid + ") did not return within "
                + Phase.text(plan.stepTimeout().orElseThrow())
                + ", and the driver cannot be interrupted: the step may still end by itself. Ask for the state, and resume the"
                + " process from there.";
        return new TorporException(Problem.UNRESPONSIVE, 0, message, report(Optional.of(message)));
    }

    private Report report(Optional<String> failure) {
        long residentAfter = preflight.proc().residentBytes(pid);
        long gained = residentBefore < 0 || residentAfter < 0 ? 0 : residentAfter - residentBefore;
        return new Report(
                plan.operation(),
                pid,
                start,
                end,
                checks,
                Duration.ofNanos(queryNanos),
                done,
                undone,
                gained,
                deviceBytes,
                Duration.ofNanos(System.nanoTime() - begin),
                failure,
                cuda.simulated());
    }
}
