package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/** One run of a plan: check everything, do the steps and time each, and on a failure walk back to where it began. */
final class Transition implements AutoCloseable {
    private static final int GPU_PAIRS_VERSION = 13000;
    private static final long SETTLE_MILLIS = 20;

    private final Cuda cuda;
    private final CudaDriver driver;
    private final Preflight preflight;
    private final Plan plan;
    private final int pid;
    private final long begin = System.nanoTime();
    private final List<Phase> done = new ArrayList<>();
    private final List<Phase> undone = new ArrayList<>();
    private Standing start = Standing.UNKNOWN;
    private Standing reached = Standing.UNKNOWN;
    private Standing end = Standing.UNKNOWN;
    private Optional<ShimStatus> shim = Optional.empty();
    private Optional<String> driverOnly = Optional.empty();
    private List<Step> steps = List.of();
    private Step begun = Step.LOCK;
    private Outcome outcome = Outcome.DONE;
    private boolean overdue;
    private boolean cancelled;
    private @Nullable ProgressMeter meter;
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
            rehearsal.steps = Step.path(ProcessState.RUNNING, ProcessState.CHECKPOINTED);
            rehearsal.check(new Claims());
            preflight.readFreeMemory();
            cuda.persistent();
            preflight.rehearseShim();
        } catch (TorporException e) {
            return; // the real checks will tell
        }
        rehearsal.done.add(Phase.of("rehearsal", 0));
        rehearsal.report(Optional.empty());
    }

    Report run() {
        prepare(new Claims());
        try {
            for (Step step : Step.values()) {
                if (!perform(step)) {
                    throw failed();
                }
            }
            return complete();
        } finally {
            close();
        }
    }

    /** Checks everything, and touches nothing. */
    void prepare(Claims claims) {
        preflight.identify();
        steps = steps();
        check(claims);
        checks = Duration.ofNanos(System.nanoTime() - begin);
        meter = ProgressMeter.start(plan.listener(), preflight, residentBefore, deviceBytes);
    }

    /** Does a step, if it is one of the plan's. The steps of any plan are in the order of their declaration. */
    boolean perform(Step step) {
        if (!steps.contains(step)) {
            return true;
        }
        begun = step;
        if (plan.isCancelled()) {
            cancel();
            return false;
        }
        try {
            outcome = timed(step, done);
        } catch (Bounded.Overdue e) {
            overdue = true;
        }
        if (!hasFailed() && plan.undo() && plan.isCancelled()) {
            cancel();
        }
        return !hasFailed();
    }

    /** Between two steps: what was done is undone, whatever the plan says of other failures. */
    private void cancel() {
        cancelled = true;
        String after = done.isEmpty()
                ? "before its first step"
                : "after step " + done.get(done.size() - 1).name();
        String sentence = "The " + plan.operation() + " of process " + pid + " was cancelled " + after + ".";
        outcome = new Outcome(0, new Failure(Problem.CANCELLED, sentence));
    }

    private boolean undoes() {
        return plan.undo() || cancelled;
    }

    boolean hasFailed() {
        return overdue || outcome.failed();
    }

    /** Whether it has failed in such a way that what it belongs to goes back. */
    boolean endsTheGroup() {
        return hasFailed() && plan.undo();
    }

    /** Where it stands since another of its group failed; without what was done, if the plan says so. */
    String left() {
        return plan.undo() ? undone() : " It is " + complete().end() + " now.";
    }

    /** After all steps. */
    Report complete() {
        end = new Standing(
                driverNow(), reached.shim()); // what succeeded has succeeded, even if the process ends at once
        remember();
        return report(Optional.empty());
    }

    /** After a step that failed: undoes the ones before it, unless nobody knows where it stands. */
    TorporException failed() {
        if (overdue) {
            return unresponsive(begun);
        }
        Failure refusal = outcome.refusal();
        Failure failure = refusal == null ? Failure.of(driver, preflight, plan, begun, outcome.result()) : refusal;
        String message = failure.sentence() + undone();
        return new TorporException(failure.problem(), outcome.result(), message, report(Optional.of(message)));
    }

    /** Undoes what was done, if the plan says so, and tells where the process is now. */
    String undone() {
        String undoing = undoes() ? undo() : "";
        end = standingNow();
        return undoing + stands();
    }

    long pid() {
        return preflight.pid();
    }

    @Override
    public void close() {
        ProgressMeter open = meter;
        if (open != null) {
            open.close();
        }
    }

    private List<Step> steps() {
        start = new Standing(query(), ProcessState.RUNNING);
        if (plan.asksShim()) {
            askShim();
        } else {
            driverOnly = Optional.of("the shim was left aside");
        }
        reached = start;
        List<Step> ahead = plan.steps(start, shim.isPresent());
        if (ahead.isEmpty()) {
            throw wrongState();
        }
        if (ahead.contains(Step.PARK) || !plan.suspends()) {
            driverOnly = Optional.empty();
        }
        return ahead;
    }

    private ProcessState query() {
        long before = System.nanoTime();
        try {
            return preflight.state(plan.stepTimeout());
        } finally {
            queryNanos += System.nanoTime() - before;
        }
    }

    /** A shim that does not answer stops a suspend; a process that sleeps already is resumed as far as that goes. */
    private void askShim() {
        try {
            ShimAnswer answer = shimAnswer();
            if (answer.ok()) {
                told(answer);
            } else if (answer.code().equals("off")) {
                withoutShim("parking is off", ShimFailure.refused(pid, "status", answer));
            } else {
                untold(ShimFailure.refused(pid, "status", answer));
            }
        } catch (ShimTrouble e) {
            Failure failure = ShimFailure.of(preflight.proc(), pid, "status", e);
            if (e.kind() == ShimTrouble.Kind.ABSENT || e.kind() == ShimTrouble.Kind.DENIED) {
                withoutShim(e.reason(), failure);
            } else {
                untold(failure);
            }
        }
    }

    private void told(ShimAnswer answer) {
        try {
            ShimStatus status = preflight.shim().status(answer);
            shim = Optional.of(status);
            start = new Standing(start.driver(), status.state());
        } catch (TorporException e) {
            untold(new Failure(e.problem(), String.valueOf(e.getMessage())));
        }
    }

    private void untold(Failure failure) {
        if (plan.mustKnow(start.driver())) {
            throw untouched(failure);
        }
        start = new Standing(start.driver(), ProcessState.UNKNOWN);
    }

    private void withoutShim(String reason, Failure failure) {
        if (plan.needsShim()) {
            throw untouched(failure);
        }
        driverOnly = Optional.of(reason);
    }

    private TorporException untouched(Failure failure) {
        String advice = plan.suspends() ? " The driver alone, without parking, could suspend it." : "";
        String state = preflight.alive() ? " The process was not touched." : "";
        return new TorporException(failure.problem(), failure.sentence() + advice + state);
    }

    private ShimAnswer shimAnswer() throws ShimTrouble {
        long before = System.nanoTime();
        try {
            return preflight.shim().exchange("status", Optional.of(ShimControl.patience(plan.stepTimeout())));
        } finally {
            queryNanos += System.nanoTime() - before;
        }
    }

    private void check(Claims claims) {
        heldBefore = preflight.deviceMemory();
        deviceBytes = known(heldBefore);
        residentBefore = preflight.proc().residentBytes(pid);
        if (steps.contains(Step.LOCK)) {
            preflight.checkNoMpsClient();
        }
        if (steps.contains(Step.CHECKPOINT) && plan.down().checkSharing()) {
            checkSharing();
        }
        if (plan.down().checkHostMemory()) {
            preflight.checkHostMemory(hostBytes(), parksIntoMemory(), claims);
        }
        if (steps.contains(Step.RESTORE)) {
            checkRestore(claims);
        }
    }

    private void checkSharing() {
        Optional<ShimStatus> asked = shim.isPresent() || plan.asksShim() ? shim : preflight.shimStatus();
        SharingCheck.refusal(preflight.proc(), pid, asked).ifPresent(failure -> {
            throw failure.exception();
        });
    }

    private boolean parksIntoMemory() {
        return steps.contains(Step.PARK) && plan.down().arena().isEmpty();
    }

    /** What a suspend needs on the host: what is parked goes into the arena, as far as that is not there yet, and the rest to the driver. */
    private long hostBytes() {
        long parked = 0;
        long bytes = 0;
        if (steps.contains(Step.PARK)) {
            ShimStatus status = shim.orElseThrow();
            parked = status.parkableBytes();
            bytes = plan.down().arena().isPresent() ? 0 : Math.max(0, parked - status.arenaBytes());
        }
        if (steps.contains(Step.CHECKPOINT)) {
            bytes += Math.max(0, deviceBytes.orElse(parked) - parked);
        }
        return bytes;
    }

    private void checkRestore(Claims claims) {
        DeviceMap map = plan.up().deviceMap();
        if (!map.isSame()) {
            cuda.requireVersion(GPU_PAIRS_VERSION, "GPU pairs", 580);
        }
        DeviceMap complete = preflight.completed(map);
        gpuPairs = complete.toGpuPairs();
        if (plan.up().checkDeviceMemory()) {
            preflight.checkDeviceMemory(complete, shim, claims);
        }
        preflight.prepareRestore();
    }

    /** What a resume will need, if this was a suspend. */
    private void remember() {
        if (end.state().equals(ProcessState.RUNNING)) {
            deviceBytes = known(preflight.deviceMemory());
        } else if (plan.undo() && start.parked()) {
            preflight.rememberCheckpointedToo();
        } else if (end.parked() || end.driver().equals(ProcessState.CHECKPOINTED)) {
            preflight.rememberSuspended(heldBefore, end.parked());
        }
    }

    private static OptionalLong known(Map<GpuUuid, Long> held) {
        return held.isEmpty() ? OptionalLong.empty() : OptionalLong.of(Preflight.sum(held));
    }

    private Outcome timed(Step step, List<Phase> phases) throws Bounded.Overdue {
        ProgressMeter telling = Objects.requireNonNull(meter);
        telling.begin(step);
        Outcome came = step.byShim() ? told(step, phases) : called(step, phases);
        telling.end();
        return came;
    }

    private Outcome called(Step step, List<Phase> phases) throws Bounded.Overdue {
        long before = System.nanoTime();
        int result = Bounded.call(step + "-" + pid, plan.stepTimeout(), new Call(step));
        Phase phase = Phase.of(step.toString(), System.nanoTime() - before);
        if (result != CudaResult.SUCCESS) {
            return new Outcome(result, null);
        }
        phases.add(phase);
        reached = reached.after(step);
        return Outcome.DONE;
    }

    /** The shim may find out only now that it cannot park, or that there is nothing to unpark where it did not tell before. */
    private Outcome told(Step step, List<Phase> phases) throws Bounded.Overdue {
        String command =
                step == Step.PARK ? ShimControl.parkCommand(plan.down()) : ShimControl.unparkCommand(plan.up());
        long before = System.nanoTime();
        ShimAnswer answer;
        try {
            answer = preflight.shim().exchange(command, plan.stepTimeout());
        } catch (ShimTrouble e) {
            if (e.kind() == ShimTrouble.Kind.SILENT) {
                throw new Bounded.Overdue();
            }
            return new Outcome(0, ShimFailure.of(preflight.proc(), pid, step.function(), e));
        }
        Duration duration = Duration.ofNanos(System.nanoTime() - before);
        if (answer.ok()) {
            phases.add(new Phase(step.toString(), duration, answer.number("bytes"), ShimControl.parts(answer)));
            reached = reached.after(step);
            return Outcome.DONE;
        }
        if (step == Step.PARK && !plan.needsShim() && answer.code().equals("off")) {
            driverOnly = Optional.of("parking is off");
            return Outcome.DONE;
        }
        if (step == Step.UNPARK && !reached.parked() && answer.code().equals("running")) {
            reached = reached.after(step);
            return Outcome.DONE;
        }
        return new Outcome(0, ShimFailure.refused(pid, step.function(), answer));
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
                case PARK, UNPARK -> throw new AssertionError(step);
            };
        }
    }

    private TorporException wrongState() {
        return new TorporException(
                Problem.WRONG_STATE,
                "Process " + pid + " is " + start.state() + ", and " + plan.operation() + " does not begin there: "
                        + plan.advice(start) + ".");
    }

    /** Back to the state before, from wherever the failure is said to have left the process, or else from the last step done. */
    private String undo() {
        gpuPairs = new byte[0];
        Standing now = standingNow();
        ProcessState from = now.driver().equals(ProcessState.UNKNOWN) ? reached.driver() : now.driver();
        reached = new Standing(from, now.shim());
        for (Step step : reached.path(start)) {
            try {
                Outcome came = timed(step, undone);
                if (came.failed()) {
                    return " Undoing it failed too: " + came.words(driver, step);
                }
            } catch (Bounded.Overdue e) {
                return " Undoing it did not end in time: " + step.function() + " still runs.";
            }
        }
        return "";
    }

    private ProcessState driverNow() {
        try {
            return preflight.alive() ? query() : ProcessState.UNKNOWN;
        } catch (TorporException e) {
            return ProcessState.UNKNOWN;
        }
    }

    /** The shim is asked only where a step of its own may have failed half-way; the driver's steps do not change what it has done. */
    private Standing standingNow() {
        ProcessState now = driverNow();
        boolean certain = shim.isEmpty() && !start.shim().equals(ProcessState.UNKNOWN);
        return certain || !now.equals(ProcessState.RUNNING)
                ? new Standing(now, reached.shim())
                : new Standing(now, shimSettled());
    }

    /** A conversation may have broken while the shim goes on. */
    private ProcessState shimSettled() {
        long deadline =
                System.nanoTime() + ShimControl.patience(plan.stepTimeout()).toNanos();
        ProcessState state = reached.shim();
        try {
            do {
                ShimAnswer answer = shimAnswer();
                if (!answer.ok()) {
                    return state;
                }
                state = preflight.shim().status(answer).state();
                if (state.equals(ProcessState.RUNNING) || state.equals(ProcessState.PARKED)) {
                    return state;
                }
                Thread.sleep(SETTLE_MILLIS);
            } while (System.nanoTime() < deadline);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ShimTrouble | TorporException e) {
            return state;
        }
        return state;
    }

    private String stands() {
        return preflight.alive() ? end.sentence(start) : "";
    }

    private TorporException unresponsive(Step step) {
        String call = step.function() + "(pid " + pid + ") did not return within "
                + Phase.text(plan.stepTimeout().orElseThrow());
        String why = step.byShim() ? ", and the shim cannot be interrupted" : ", and the driver cannot be interrupted";
        String message = call + why
                + ": the step may still end by itself. Ask for the state, and resume the process from there.";
        return new TorporException(Problem.UNRESPONSIVE, 0, message, report(Optional.of(message)));
    }

    private Report report(Optional<String> failure) {
        long residentAfter = preflight.proc().residentBytes(pid);
        long gained = residentBefore < 0 || residentAfter < 0 ? 0 : residentAfter - residentBefore;
        return new Report(
                plan.operation(),
                pid,
                start.state(),
                end.state(),
                checks,
                Duration.ofNanos(queryNanos),
                done,
                undone,
                gained,
                deviceBytes,
                driverOnly,
                Duration.ofNanos(System.nanoTime() - begin),
                failure,
                cuda.simulated());
    }
}
