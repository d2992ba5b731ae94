package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
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
    private static final Duration LOST_ANSWER = Duration.ofMinutes(10); // without a limit of the caller's
    private static final Duration LOOK_AGAIN = Duration.ofMillis(20);
    private static final int LOOKS = 10;
    private static final String LEFT =
            " Another controller is at work on the process, and it was left as that one has it.";

    private final Cuda cuda;
    private final CudaDriver driver;
    private final Preflight preflight;
    private final Plan plan;
    private final int pid;
    private final ShimTalk talk;
    private final long begin = System.nanoTime();
    private final List<Phase> done = new ArrayList<>();
    private final List<Phase> undone = new ArrayList<>();
    /** Its own steps that stand, in the order in which they were done. No other controller's step is ever undone. */
    private final Deque<Step> own = new ArrayDeque<>();

    private Standing start = Standing.UNKNOWN;
    private Standing reached = Standing.UNKNOWN;
    private Standing end = Standing.UNKNOWN;
    private Optional<ShimStatus> shim = Optional.empty();
    private Optional<String> driverOnly = Optional.empty();
    private List<Step> steps = List.of();
    private Step begun = Step.LOCK;
    private Outcome outcome = Outcome.DONE;
    private @Nullable Throwable thrown;
    private boolean overdue;
    private boolean rehearsing;
    private boolean cancelled;
    /** Nobody knows what has become of the step that was given up. */
    private boolean lost;

    private boolean parkIsMine;
    /** The shim has answered the last command. */
    private boolean answered;

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
        this.talk = new ShimTalk(preflight, plan);
    }

    /**
     * Does once, to no effect, what surrounds the driver's calls: the first use of a class or of a native function costs a JVM
     * milliseconds, which are better spent when a handle is made than while a process waits.
     */
    static void rehearse(Cuda cuda, Preflight preflight) {
        Transition rehearsal = new Transition(cuda, preflight, Plan.suspend(Suspend.defaults()));
        new StateQuery(cuda.driver(), (int) ProcessHandle.current().pid()).get();
        try (ProgressMeter meter = ProgressMeter.start(Optional.empty(), preflight, 0, OptionalLong.empty())) {
            meter.end();
            rehearsal.rehearsing = true;
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
        } catch (DriverCalls.Overdue e) {
            overdue = true;
        } catch (Throwable t) { // an Error of the JVM, too, must not leave the process where it is
            thrown = t;
            outcome = new Outcome(0, Failure.inJava(pid, step, t));
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

    /** After all steps. What succeeded has succeeded, even if the process ends at once. */
    Report complete() {
        end = new Standing(driverNow(), reached.shim());
        try {
            remember();
        } catch (RuntimeException | Error e) {
            System.getLogger("dev.torpor").log(System.Logger.Level.DEBUG, "what a resume will need is not known", e);
        }
        return report(Optional.empty());
    }

    /** After a step that failed: undoes the ones before it, if the plan says so. */
    TorporException failed() {
        Failure failure = overdue ? late() : Objects.requireNonNullElseGet(outcome.refusal(), this::driversRefusal);
        String message = failure.sentence() + undone();
        TorporException e =
                new TorporException(failure.problem(), outcome.result(), message, report(Optional.of(message)));
        if (thrown != null) {
            e.initCause(thrown);
        }
        return e;
    }

    private Failure driversRefusal() {
        try {
            return Failure.of(driver, preflight, plan, begun, outcome.result());
        } catch (RuntimeException | Error e) { // the binding has no words for it
            return new Failure(
                    Problem.DRIVER, begun.function() + "(pid " + pid + ") failed: CUresult " + outcome.result() + ".");
        }
    }

    /** Undoes what was done, if the plan says so, and tells where the process is now. */
    String undone() {
        String undoing = undoes() ? undo() : "";
        end = standingNow();
        if (end.driver().equals(ProcessState.RUNNING)) {
            preflight.restoreCheck().forget();
        }
        return undoing + stands();
    }

    /** A step was given up. Where it has to be undone its end is waited for, since until then nothing can be. */
    private Failure late() {
        String call = begun.function() + "(pid " + pid + ") did not return within "
                + Phase.text(plan.stepTimeout().orElseThrow()) + ", and the " + (begun.byShim() ? "shim" : "driver")
                + " cannot be interrupted";
        boolean ended = undoes() && hasEndedByNow();
        if (!preflight.alive()) {
            return new Failure(Problem.NO_SUCH_PROCESS, call + ". The process has ended.");
        }
        if (ended) {
            return new Failure(Problem.UNRESPONSIVE, call + ", so its end was waited for.");
        }
        lost = true;
        String before =
                undoes() && !own.isEmpty() ? ", and what was done before it (" + own.peekFirst() + ") stays" : "";
        return new Failure(
                Problem.UNRESPONSIVE,
                call + ": the step may still end by itself" + before
                        + ". Ask for the state, and resume the process from there.");
    }

    /** And if so, what came of it. */
    private boolean hasEndedByNow() {
        if (begun.byShim()) {
            return !shimNow().equals(ProcessState.UNKNOWN);
        }
        try {
            Optional<Integer> result = cuda.calls().awaitLateStep(pid, Optional.of(cuda.lateLimit()));
            if (result.isPresent() && result.get() == CudaResult.SUCCESS) {
                stands(begun);
            } else {
                outcome = new Outcome(result.orElse(CudaResult.SUCCESS), null);
            }
            return true;
        } catch (DriverCalls.Overdue e) {
            return false;
        }
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
        awaitEarlierStep();
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

    /** Of another transition in this JVM. The driver might do it after the steps of this one. */
    private void awaitEarlierStep() {
        String late = cuda.calls().lateStep(pid);
        if (plan.stepTimeout().isPresent()) {
            cuda.calls().checkFew();
        }
        try {
            cuda.calls().awaitLateStep(pid, plan.stepTimeout());
        } catch (DriverCalls.Overdue e) {
            throw new TorporException(
                    Problem.UNRESPONSIVE,
                    late + "(pid " + pid + "), which an earlier call gave up, has not returned, also within "
                            + Phase.text(plan.stepTimeout().orElseThrow())
                            + ": no other step can begin before. Try again later. The process was not touched.");
        }
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
            ShimAnswer answer = talk.status();
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
        if (steps.contains(Step.CHECKPOINT) && !rehearsing) {
            preflight.restoreCheck().begin(heldBefore, shim);
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
            preflight.restoreCheck().check(complete, shim, plan.up().devices(), claims);
        }
        preflight.prepareRestore();
    }

    /** What a resume will need, if this was a suspend. */
    private void remember() {
        if (end.state().equals(ProcessState.RUNNING)) {
            deviceBytes = known(preflight.deviceMemory());
        }
        RestoreCheck need = preflight.restoreCheck();
        if (!end.driver().equals(ProcessState.CHECKPOINTED)) {
            need.forget();
        } else if (steps.contains(Step.CHECKPOINT)) {
            need.end(shim.isPresent() ? shimStatusNow() : shim);
        }
    }

    /** Empty if it does not tell. */
    private Optional<ShimStatus> shimStatusNow() {
        try {
            ShimAnswer answer =
                    preflight.shim().exchange("status", Optional.of(ShimControl.patience(plan.stepTimeout())));
            return answer.ok() ? Optional.of(preflight.shim().status(answer)) : Optional.empty();
        } catch (ShimTrouble | TorporException e) {
            return Optional.empty();
        }
    }

    private static OptionalLong known(Map<GpuUuid, Long> held) {
        return held.isEmpty() ? OptionalLong.empty() : OptionalLong.of(Preflight.sum(held));
    }

    private Outcome timed(Step step, List<Phase> phases) throws DriverCalls.Overdue {
        return timed(step, phases, plan.stepTimeout());
    }

    private Outcome timed(Step step, List<Phase> phases, Optional<Duration> limit) throws DriverCalls.Overdue {
        ProgressMeter telling = Objects.requireNonNull(meter);
        telling.begin(step);
        Outcome came = step.byShim() ? told(step, phases, limit) : called(step, phases, limit);
        telling.end();
        return came;
    }

    private Outcome called(Step step, List<Phase> phases, Optional<Duration> limit) throws DriverCalls.Overdue {
        long before = System.nanoTime();
        int result = cuda.calls().step(step.function(), pid, limit, new Call(step));
        Phase phase = Phase.of(step.toString(), System.nanoTime() - before);
        if (result != CudaResult.SUCCESS) {
            return new Outcome(result, null);
        }
        phases.add(phase);
        stands(step);
        return Outcome.DONE;
    }

    /** The step is done: it is one of its own, or it has undone one. */
    private void stands(Step step) {
        reached = reached.after(step);
        if (!own.isEmpty() && own.peekLast() == step.inverse()) {
            own.removeLast();
        } else {
            own.addLast(step);
        }
    }

    /** The shim may find out only now that it cannot park, or that there is nothing to unpark where it did not tell before. */
    private Outcome told(Step step, List<Phase> phases, Optional<Duration> limit) throws DriverCalls.Overdue {
        long before = System.nanoTime();
        answered = false;
        ShimAnswer answer;
        try {
            answer = step == Step.PARK
                    ? talk.park(limit)
                    : own.contains(Step.PARK) ? talk.undoPark(limit) : talk.unpark(limit);
        } catch (ShimTrouble e) {
            if (e.kind() == ShimTrouble.Kind.SILENT) {
                throw new DriverCalls.Overdue();
            }
            return new Outcome(0, ShimFailure.of(preflight.proc(), pid, step.function(), e));
        }
        answered = true;
        Duration duration = Duration.ofNanos(System.nanoTime() - before);
        if (answer.ok()) {
            phases.add(new Phase(step.toString(), duration, answer.number("bytes"), ShimControl.parts(answer)));
            stands(step);
            return Outcome.DONE;
        }
        if (step == Step.PARK && !plan.needsShim() && answer.code().equals("off")) {
            driverOnly = Optional.of("parking is off");
            return Outcome.DONE;
        }
        if (step == Step.UNPARK
                && plan.only() == null
                && !plan.undo()
                && answer.code().equals("running")) {
            reached = reached.after(step); // the shim did not tell before, or another controller was faster
            return Outcome.DONE;
        }
        Failure refusal = ShimFailure.refused(pid, step.function(), answer);
        boolean others = answer.code().equals("parked") || answer.code().equals("running");
        return new Outcome(0, others ? refusal.and("Another controller is at work on the process.") : refusal);
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

    /** Undoes its own steps, the last first, as long as the process stands where they led. */
    private String undo() {
        gpuPairs = new byte[0];
        if (lost) {
            return "";
        }
        Standing now = standingNow();
        if (overdue || (outcome.failed() && !cancelled)) {
            now = claimed(now);
        }
        String left = "";
        while (!own.isEmpty()) {
            if (own.contains(Step.PARK) && talk.isParkedByAnother()) {
                own.clear(); // also what it did after that park: another controller has resumed the process since
                return LEFT;
            }
            Step back = own.getLast().inverse();
            if (!now.isWhere(back)) {
                left = LEFT;
                own.removeLast();
                if (talk.tellsWhoParked()) {
                    continue; // its own park is told from another's
                }
                own.clear();
                break;
            }
            String failure = undoneBy(back, now);
            if (!failure.isEmpty()) {
                return failure;
            }
            now = now.driver().equals(ProcessState.UNKNOWN) ? now : now.after(back);
        }
        return left;
    }

    /** Empty if the step has been done. */
    private String undoneBy(Step back, Standing now) {
        long before = System.nanoTime();
        try {
            Outcome came = timed(back, undone, undoLimit());
            if (!came.failed() || wasUnparkedAllTheSame(back, before)) {
                return "";
            }
            boolean others = came.result() == CudaResult.ILLEGAL_STATE
                    ? !now.driver().equals(ProcessState.UNKNOWN)
                    : came.refusal() != null && came.refusal().problem() == Problem.WRONG_STATE;
            return others ? LEFT : " Undoing it failed too: " + came.words(driver, back);
        } catch (DriverCalls.Overdue e) {
            if (wasUnparkedAllTheSame(back, before)) {
                return "";
            }
            lost = true;
            begun = back;
            return " Undoing it did not end in time: " + back.function() + " still runs.";
        } catch (RuntimeException | Error e) {
            return " Undoing it failed too: " + Failure.inJava(pid, back, e).sentence();
        }
    }

    /** The answer was lost. */
    private boolean wasUnparkedAllTheSame(Step back, long begin) {
        if (back != Step.UNPARK || answered || !shimNow().equals(ProcessState.RUNNING)) {
            return false;
        }
        undone.add(Phase.of(back.toString(), System.nanoTime() - begin));
        stands(back);
        return true;
    }

    /** A limit to a step is the caller's patience with it; to give up an undoing in the middle would help nobody. */
    private Optional<Duration> undoLimit() {
        Optional<Duration> limit = plan.stepTimeout();
        return limit.isPresent() && limit.get().compareTo(cuda.lateLimit()) < 0 ? Optional.of(cuda.lateLimit()) : limit;
    }

    /**
     * Finds out whose doing the state is, where the step that failed may have been done, or the driver says that the process was in
     * another state (401) than it is in. If another controller is at work, the state does not stay.
     *
     * @return where the process stands then; the step that failed is among its own if it was done
     */
    private Standing claimed(Standing now) {
        boolean refused = outcome.result() == CudaResult.ILLEGAL_STATE;
        boolean done = !refused && seemsDone(now);
        if (begun.byShim()) {
            if (done && !answered && parkIsMine) {
                stands(begun);
            }
            return now;
        }
        boolean unclear =
                done || (refused && !own.isEmpty() && now.isWhere(own.getLast().inverse()));
        for (int i = 0; unclear && i < LOOKS; i++) {
            Uninterrupted.sleep(LOOK_AGAIN);
            Standing later = new Standing(driverNow(), now.shim());
            if (!later.driver().equals(now.driver())) {
                return later;
            }
        }
        if (done) {
            stands(begun);
        }
        return now;
    }

    /** The step that failed, or whose answer was lost: whether the process stands where it leads. */
    private boolean seemsDone(Standing now) {
        ProcessState at = begun.byShim() ? now.shim() : now.driver();
        ProcessState before = begun.byShim() ? reached.shim() : reached.driver();
        return at.equals(begun.to()) && !before.equals(begun.to());
    }

    private ProcessState driverNow() {
        try {
            return preflight.alive() ? query() : ProcessState.UNKNOWN;
        } catch (RuntimeException | Error e) {
            return ProcessState.UNKNOWN;
        }
    }

    /**
     * The shim is asked only where the driver says that the process runs: else it cannot park or unpark. What it has been told before may
     * still be under way.
     */
    private Standing standingNow() {
        if (lost && !begun.byShim()) {
            return Standing.UNKNOWN; // what the driver would tell now need not be true in a moment
        }
        ProcessState now = driverNow();
        boolean certain = shim.isEmpty() && !start.shim().equals(ProcessState.UNKNOWN);
        if (certain || !now.equals(ProcessState.RUNNING)) {
            return new Standing(now, reached.shim());
        }
        ProcessState parked = lost ? talk.stateNow() : shimNow();
        return parked.equals(ProcessState.UNKNOWN) ? Standing.UNKNOWN : new Standing(now, parked);
    }

    /** When the shim has done what it was told; unknown if that takes too long. */
    private ProcessState shimNow() {
        Duration limit = plan.stepTimeout().isPresent() ? cuda.lateLimit() : LOST_ANSWER;
        ShimTalk.Settled settled = talk.settled(limit);
        parkIsMine = settled.mine();
        return settled.state();
    }

    private String stands() {
        return preflight.alive() ? end.sentence(start) : "";
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
                Duration.ofNanos(queryNanos + talk.nanos()),
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
