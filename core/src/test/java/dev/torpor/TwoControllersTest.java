package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.driver.CudaResult;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import org.junit.jupiter.api.Test;

/**
 * Two controllers of one process, which know nothing of each other: whichever order their calls come in, who was told "checkpointed" is
 * right until a controller resumes the process, and no controller undoes a step that it has not done.
 */
class TwoControllersTest {
    enum Job {
        SUSPEND,
        PARK,
        RESUME,
        GROUP_SUSPEND,
        GROUP_RESUME,
        /** Of a group whose other process cannot be checkpointed. */
        FAILING_GROUP_SUSPEND
    }

    enum Start {
        RUNNING,
        PARKED,
        LOCKED,
        CHECKPOINTED
    }

    /** What fails for the first controller, without effect. */
    enum Fault {
        NONE,
        PARK_BUSY,
        LOCK_TIMEOUT,
        UNLOCK_FAILS
    }

    /** Only to have a pid. */
    private static final Process OTHER;

    static {
        try {
            OTHER = new ProcessBuilder("sleep", "300").start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @AfterContainer
    static void end() {
        OTHER.destroyForcibly();
    }

    /** Lets one controller run at a time, and decides before each call of either which one goes on. */
    private static final class Turns {
        private final Iterator<Boolean> changes;
        private final int mostInARow;
        private final boolean[] done = new boolean[2];
        private int current;
        private int inARow;
        private boolean held;

        Turns(List<Boolean> changes, int mostInARow) {
            this.changes = changes.iterator();
            this.mostInARow = mostInARow;
        }

        synchronized int current() {
            return current;
        }

        synchronized boolean otherIsDone() {
            return done[1 - current];
        }

        /** The next call follows at once. */
        synchronized void hold() {
            held = true;
        }

        /** Called by the controller that runs, on any of its threads. */
        synchronized void pass() {
            int me = current;
            if (held) {
                held = false;
                return;
            }
            boolean change = changes.hasNext() ? changes.next() : inARow > 0;
            inARow++;
            if (!done[1 - me] && (change || inARow >= mostInARow)) {
                inARow = 0;
                current = 1 - me;
                notifyAll();
            }
            await(me);
        }

        synchronized void await(int me) {
            while (current != me) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
        }

        synchronized void end(int me) {
            done[me] = true;
            if (!done[1 - me]) {
                current = 1 - me;
            }
            notifyAll();
        }
    }

    /** The process with its driver and shim, and who has brought it where it is. */
    private static final class Machine implements AutoCloseable {
        final FakeDriver driver = new FakeDriver();
        final Path directory = Files.createTempDirectory("torpor-test-");
        final FakeShim shim = new FakeShim(directory);
        final GpuProcess[] handles = {driver.process(shim.proc()), driver.process(shim.proc())};
        final List<String> history = new ArrayList<>();
        final List<String> wrong = new ArrayList<>();
        final Turns turns;
        final Fault fault;
        final boolean withShim;
        final FakeDriver failing = new FakeDriver(OTHER.pid());
        final Map<Step, Object> doers = new ConcurrentHashMap<>();
        final Object[] jobs = {"nobody", "nobody"};
        boolean watched;
        /** Whether an answer of the shim still holds at the caller's next call: no controller can close the gap between the two. */
        boolean answersCount;

        Machine(Start start, boolean withShim, Fault fault, Turns turns) throws IOException {
            this.turns = turns;
            this.fault = fault;
            this.withShim = withShim;
            if (start == Start.PARKED || (start == Start.CHECKPOINTED && withShim)) {
                handles[0].park();
            }
            if (start == Start.LOCKED || start == Start.CHECKPOINTED) {
                driver.state = start == Start.LOCKED ? ProcessState.LOCKED : ProcessState.CHECKPOINTED;
            }
            failing.fail("cuCheckpointProcessCheckpoint", 999);
            driver.before = this::beforeCall;
            shim.arrived = this::beforeCommand;
        }

        private void beforeCall(String function) {
            if (!watched || !function.startsWith("cuCheckpointProcess")) {
                return;
            }
            turns.pass();
            driver.heal();
            for (Step step : Step.values()) {
                if (step.function().equals(function)) {
                    boolean fails = fails(step);
                    if (fails) {
                        driver.fail(function, step == Step.LOCK ? CudaResult.NOT_READY : 999);
                    }
                    note(step, !fails && driver.state.equals(step.from()));
                }
            }
        }

        private boolean fails(Step step) {
            return turns.current() == 0
                    && ((fault == Fault.LOCK_TIMEOUT && step == Step.LOCK)
                            || (fault == Fault.UNLOCK_FAILS && step == Step.UNLOCK));
        }

        private void beforeCommand(String line) {
            if (!watched) {
                return;
            }
            turns.pass();
            if (line.startsWith("status")) {
                if (answersCount) {
                    turns.hold();
                }
                return;
            }
            while (!driver.state.equals(ProcessState.RUNNING) && !turns.otherIsDone()) {
                turns.pass(); // the calls of the shim wait while the process is locked
            }
            boolean park = line.startsWith("park");
            shim.heal();
            if (park && fault == Fault.PARK_BUSY && turns.current() == 0) {
                shim.refuseNow("busy work did not end.");
                note(Step.PARK, false);
                return;
            }
            boolean named = line.contains(" by=") && !line.contains(" by=" + shim.parkedBy);
            boolean done = park ? shim.state.equals("running") : shim.state.equals("parked") && !named;
            note(park ? Step.PARK : Step.UNPARK, done);
        }

        private void note(Step step, boolean done) {
            Object job = jobs[turns.current()];
            history.add(job + " " + step + (done ? "" : " (refused)"));
            if (!done) {
                return;
            }
            boolean down = step == Step.PARK || step == Step.LOCK || step == Step.CHECKPOINT;
            if (down) {
                doers.put(step, job);
            } else if (!isResume(job) && !job.equals(doers.get(step.inverse()))) {
                wrong.add(job + " undoes what it has not done: " + step);
            }
        }

        private static boolean isResume(Object job) {
            return job.toString().startsWith("resume") || job.toString().startsWith("group_resume");
        }

        void run(int who, List<Job> all) {
            turns.await(who);
            for (int i = 0; i < all.size(); i++) {
                Job job = all.get(i);
                String name = job.toString().toLowerCase(Locale.ROOT);
                jobs[who] = name + " " + i + " of " + "AB".charAt(who);
                String came = "done";
                try {
                    act(handles[who], job);
                    boolean told = job == Job.SUSPEND || job == Job.GROUP_SUSPEND;
                    expect(told && !driver.state.equals(ProcessState.CHECKPOINTED), who, "is not true");
                } catch (TorporException e) {
                    came = e.problem() + ": " + e.getMessage();
                }
                history.add(jobs[who] + ": " + came);
            }
            turns.end(who);
        }

        private void expect(boolean not, int who, String words) {
            // Between its last step and its answer another may have begun to resume.
            if (not && history.stream().noneMatch(line -> isResume(line) && line.contains(" restore"))) {
                wrong.add(jobs[who] + " " + words);
            }
        }

        private void act(GpuProcess process, Job job) {
            Suspend down = withShim ? Suspend.defaults() : Suspend.defaults().withoutParking();
            switch (job) {
                case SUSPEND -> process.suspend(down);
                case PARK -> process.suspend(Suspend.to(Level.PARK));
                case RESUME -> process.resume();
                case GROUP_SUSPEND -> GpuGroup.of(List.of(process)).suspend(down);
                case GROUP_RESUME -> GpuGroup.of(List.of(process)).resume(Resume.defaults());
                case FAILING_GROUP_SUSPEND ->
                    GpuGroup.of(List.of(process, failing.process())).suspend(down);
            }
        }

        /** Whatever they have left, one resume wakes the process. */
        void assertRight() {
            watched = false;
            driver.heal();
            shim.heal();
            assertThat(wrong).as(String.join("\n", history)).isEmpty();
            if (!handles[0].state().equals(ProcessState.RUNNING)) {
                handles[0].resume();
            }
            assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
            assertThat(shim.state).as(String.join("\n", history)).isEqualTo("running");
        }

        @Override
        public void close() {
            shim.close();
        }
    }

    /** None stands still for long while the other goes on, as a controller looks twice before it takes a state for its own doing. */
    private static void run(Start start, boolean withShim, Fault fault, List<Job> a, List<Job> b, List<Boolean> changes)
            throws IOException, InterruptedException {
        run(start, withShim, fault, a, b, new Turns(changes, 4));
    }

    private static void run(Start start, boolean withShim, Fault fault, List<Job> a, List<Job> b, Turns turns)
            throws IOException, InterruptedException {
        try (Machine machine = new Machine(start, withShim, fault, turns)) {
            machine.watched = true;
            machine.answersCount = a.contains(Job.FAILING_GROUP_SUSPEND);
            List<Throwable> thrown = new ArrayList<>();
            List<Thread> threads = new ArrayList<>();
            for (int who = 0; who < 2; who++) {
                int me = who;
                Thread thread = new Thread(() -> machine.run(me, me == 0 ? a : b), "controller-" + who);
                thread.setUncaughtExceptionHandler((dead, e) -> {
                    thrown.add(e);
                    machine.turns.end(me);
                });
                threads.add(thread);
            }
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(thrown).as(String.join("\n", machine.history)).isEmpty();
            machine.assertRight();
        }
    }

    /** By the driver alone, all orders of the first calls; then they alternate. */
    @Test
    void everyOrderOfTwoSuspendsByTheDriver() throws IOException, InterruptedException {
        for (int order = 0; order < 1 << 9; order++) {
            run(Start.RUNNING, false, Fault.NONE, List.of(Job.SUSPEND), List.of(Job.SUSPEND), bits(order, 9));
        }
    }

    private static List<Boolean> bits(int number, int count) {
        List<Boolean> bits = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            bits.add((number >> i & 1) == 1);
        }
        return bits;
    }

    @Property(tries = 120, shrinking = ShrinkingMode.OFF)
    void anyOrderOfAnyTwo(
            @ForAll Start start,
            @ForAll boolean withShim,
            @ForAll Fault fault,
            @ForAll("jobs") List<Job> a,
            @ForAll("jobs") List<Job> b,
            @ForAll("orders") List<Boolean> changes)
            throws IOException, InterruptedException {
        run(start, withShim, fault, a, b, changes);
    }

    /** The group learns only late that it has to go back: the other may have resumed the process and suspended it again. */
    @Property(tries = 100, shrinking = ShrinkingMode.OFF)
    void aGroupThatGoesBackLeavesWhatTheOtherHasDone(@ForAll("bursts") List<Boolean> changes)
            throws IOException, InterruptedException {
        List<Job> others = List.of(Job.RESUME, Job.SUSPEND);
        run(Start.RUNNING, true, Fault.NONE, List.of(Job.FAILING_GROUP_SUSPEND), others, new Turns(changes, 100));
    }

    @Provide
    Arbitrary<List<Boolean>> bursts() {
        return Arbitraries.integers().between(1, 20).list().ofSize(8).map(lengths -> {
            List<Boolean> changes = new ArrayList<>();
            for (int length : lengths) {
                changes.addAll(Collections.nCopies(length - 1, false));
                changes.add(true);
            }
            return changes;
        });
    }

    @Provide
    Arbitrary<List<Job>> jobs() {
        return Arbitraries.of(Job.SUSPEND, Job.PARK, Job.RESUME, Job.GROUP_SUSPEND, Job.GROUP_RESUME)
                .list()
                .ofMinSize(1)
                .ofMaxSize(2);
    }

    @Provide
    Arbitrary<List<Boolean>> orders() {
        return Arbitraries.of(true, false).list().ofSize(40);
    }
}
