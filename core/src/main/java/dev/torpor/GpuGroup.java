package dev.torpor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Processes that sleep and wake together, like the ranks of one job: everything is checked for all of them before any is touched, with
 * the memory that they need together, and each step is done for all of them, in parallel, before the next step for any. Thread-safe; a
 * transition of the group and one of a process in it, through the same handle, come one after the other.
 *
 * <p>Where a step of a suspend fails for one, all of them go back to where they began. A resume goes only forward: what fails stays where
 * it is, and the others go on.
 */
public final class GpuGroup {
    private final List<GpuProcess> processes;

    private GpuGroup(List<GpuProcess> processes) {
        this.processes = processes;
    }

    /**
     * A group of these processes.
     *
     * @throws IllegalArgumentException if there are none, or the same process is there twice
     */
    public static GpuGroup of(Collection<GpuProcess> processes) {
        TreeSet<GpuProcess> byPid = new TreeSet<>(Comparator.comparingLong(GpuProcess::pid));
        if (processes.isEmpty() || !byPid.addAll(processes) || byPid.size() < processes.size()) {
            throw new IllegalArgumentException("a group has one process or more, each once: " + processes);
        }
        return new GpuGroup(List.copyOf(processes));
    }

    /** In the order in which they were given; cannot be changed. */
    public List<GpuProcess> processes() {
        return processes;
    }

    /**
     * Suspends all of them, each as {@link GpuProcess#suspend(Suspend)} does.
     *
     * @return the reports, in the order of the processes
     * @throws TorporException as there, for the first of them that failed, with its report; failures of others are suppressed in it, and
     *     its message tells where each of them is
     */
    public List<Report> suspend(Suspend options) {
        return suspend(process -> options);
    }

    /** As {@link #suspend(Suspend)}, with options for each of them. */
    public List<Report> suspend(Function<GpuProcess, Suspend> options) {
        return run(process -> Plan.suspend(options.apply(process)));
    }

    /**
     * Resumes all of them, each as {@link GpuProcess#resume(Resume)} does.
     *
     * @return the reports, in the order of the processes
     * @throws TorporException as there, for the first of them that failed, with its report; failures of others are suppressed in it, and
     *     its message tells where each of them is
     */
    public List<Report> resume(Resume options) {
        return resume(process -> options);
    }

    /** As {@link #resume(Resume)}, with options for each of them. */
    public List<Report> resume(Function<GpuProcess, Resume> options) {
        return run(process -> Plan.resume(options.apply(process)));
    }

    /**
     * As {@link #suspend(Function)}, but leaves out a process that cannot begin, and suspends the others: a process that has ended, is in
     * the wrong state, or has too little memory beside those before it. Where a step fails for one, all go back to where they began.
     *
     * @return a result for each process, in their order; the only failures thrown are errors in Java
     */
    public List<GroupResult> suspendEach(Function<GpuProcess, Suspend> options) {
        return each(process -> Plan.suspend(options.apply(process)));
    }

    /**
     * As {@link #resume(Function)}, but leaves out a process that cannot begin, and resumes the others.
     *
     * @return as {@link #suspendEach}
     */
    public List<GroupResult> resumeEach(Function<GpuProcess, Resume> options) {
        return each(process -> Plan.resume(options.apply(process)));
    }

    /**
     * One step for all of them, without those that cannot begin. Where a park, a lock or a checkpoint fails for one, it is undone for all;
     * the other steps go only forward.
     *
     * @param down the options of a park, a lock or a checkpoint
     * @param up the options of a restore or an unpark; its {@link Cancellation} also counts for an unlock
     * @return as {@link #suspendEach}
     */
    public List<GroupResult> stepEach(Step step, Function<GpuProcess, Suspend> down, Function<GpuProcess, Resume> up) {
        return each(process -> Plan.step(step, down.apply(process), up.apply(process)));
    }

    private List<GroupResult> each(Function<GpuProcess, Plan> plans) {
        return locked(plans, transitions -> {
            Map<Transition, TorporException> failures = new ConcurrentHashMap<>();
            List<Transition> able = new ArrayList<>();
            Claims claims = new Claims();
            for (Transition transition : transitions) {
                Claims more = claims.copy();
                try {
                    transition.prepare(more);
                    claims = more;
                    able.add(transition);
                } catch (TorporException e) {
                    failures.put(transition, e);
                }
            }
            Map<Transition, Report> reports = performed(able, failures);
            List<GroupResult> results = new ArrayList<>();
            for (int i = 0; i < processes.size(); i++) {
                Transition transition = transitions.get(i);
                results.add(GroupResult.of(processes.get(i), reports.get(transition), failures.get(transition)));
            }
            return List.copyOf(results);
        });
    }

    /** Those that have been done; the failures of the others are added. */
    private static Map<Transition, Report> performed(
            List<Transition> transitions, Map<Transition, TorporException> failures) {
        performSteps(transitions);
        boolean back = transitions.stream().anyMatch(Transition::endsTheGroup);
        Map<Transition, Report> reports = new ConcurrentHashMap<>();
        Map<Transition, String> undone = new ConcurrentHashMap<>();
        together(transitions, transition -> {
            if (transition.hasFailed()) {
                failures.put(transition, transition.failed());
            } else if (back) {
                undone.put(transition, transition.left());
            } else {
                reports.put(transition, transition.complete());
            }
        });
        Transition first =
                transitions.stream().filter(Transition::hasFailed).findFirst().orElse(null);
        undone.forEach((transition, state) -> {
            TorporException cause = failures.get(Objects.requireNonNull(first));
            String message = "Process " + transition.pid() + " was not changed, since process " + first.pid()
                    + " of its group failed." + state;
            failures.put(
                    transition,
                    new TorporException(Objects.requireNonNull(cause).problem(), message));
        });
        return reports;
    }

    private List<Report> run(Function<GpuProcess, Plan> plans) {
        return locked(plans, GpuGroup::run);
    }

    private <T> T locked(Function<GpuProcess, Plan> plans, Function<List<Transition>, T> act) {
        List<GpuProcess> byPid = new ArrayList<>(processes);
        byPid.sort(Comparator.comparingLong(GpuProcess::pid)); // so that two groups do not wait for each other
        List<ReentrantLock> held = new ArrayList<>();
        List<Transition> transitions = new ArrayList<>();
        try {
            for (GpuProcess process : byPid) {
                process.ownLock().lock();
                held.add(process.ownLock());
            }
            for (GpuProcess process : processes) {
                transitions.add(process.transition(plans.apply(process)));
            }
            return act.apply(transitions);
        } finally {
            transitions.forEach(Transition::close);
            held.forEach(ReentrantLock::unlock);
        }
    }

    private static List<Report> run(List<Transition> transitions) {
        Claims claims = new Claims();
        for (Transition transition : transitions) {
            transition.prepare(claims);
        }
        performSteps(transitions);
        if (transitions.stream().anyMatch(Transition::hasFailed)) {
            throw failed(transitions);
        }
        List<Report> reports = new ArrayList<>();
        for (Transition transition : transitions) {
            reports.add(transition.complete());
        }
        return List.copyOf(reports);
    }

    private static void performSteps(List<Transition> transitions) {
        boolean stop = false;
        for (Step step : Step.values()) {
            if (!stop) {
                together(transitions, transition -> {
                    if (!transition.hasFailed()) {
                        transition.perform(step);
                    }
                });
                stop = transitions.stream().anyMatch(Transition::endsTheGroup);
            }
        }
    }

    private static TorporException failed(List<Transition> transitions) {
        Map<Transition, TorporException> failures = new ConcurrentHashMap<>();
        Map<Transition, String> others = new ConcurrentHashMap<>();
        together(transitions, transition -> {
            if (transition.hasFailed()) {
                failures.put(transition, transition.failed());
            } else {
                others.put(transition, transition.left());
            }
        });
        List<TorporException> failed = new ArrayList<>();
        StringBuilder rest = new StringBuilder();
        for (Transition transition : transitions) {
            TorporException failure = failures.get(transition);
            if (failure == null) {
                rest.append(" Process ")
                        .append(transition.pid())
                        .append(" of its group:")
                        .append(others.get(transition));
            } else {
                failed.add(failure);
            }
        }
        TorporException first = failed.get(0);
        TorporException told = new TorporException(
                first.problem(),
                first.cudaResult(),
                first.getMessage() + rest,
                first.report().orElse(null));
        failed.subList(1, failed.size()).forEach(told::addSuppressed);
        return told;
    }

    /** Each on a thread of its own. An interrupt is kept for later. */
    private static void together(List<Transition> transitions, Consumer<Transition> act) {
        if (transitions.size() == 1) {
            act.accept(transitions.get(0));
            return;
        }
        List<Thread> threads = new ArrayList<>();
        List<Throwable> thrown = new ArrayList<>();
        for (Transition transition : transitions) {
            Thread thread = new Thread(() -> act.accept(transition), "torpor-group-" + transition.pid());
            thread.setDaemon(true);
            thread.setUncaughtExceptionHandler((dead, e) -> {
                synchronized (thrown) {
                    thrown.add(e);
                }
            });
            try {
                thread.start();
                threads.add(thread);
            } catch (OutOfMemoryError e) { // there can be no more threads
                act.accept(transition);
            }
        }
        joinAll(threads);
        if (!thrown.isEmpty()) {
            throw new IllegalStateException("a step of a group failed", thrown.get(0));
        }
    }

    /** An interrupt is kept for later. */
    static void joinAll(List<Thread> threads) {
        boolean interrupted = false;
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Like {@code [process 4711, process 4712]}. */
    @Override
    public String toString() {
        return processes.toString();
    }
}
