package dev.torpor;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Calls of one driver about processes, with a limit to how long the caller waits. Nothing can interrupt the driver, so a call that is
 * given up goes on in a daemon thread until the driver returns. Thread-safe.
 *
 * <p>These threads stay few. A question has one call at a time for each process and function, which later askers join, each with a limit
 * of its own. A step is never joined, as it may be another than the one that is wanted now: the next transition of that process waits
 * for its end first, or is refused. And when {@value #MOST_GIVEN_UP} calls have been given up and not returned, no question is begun.
 */
final class DriverCalls {
    static final int MOST_GIVEN_UP = 64;

    private static final Map<String, DriverCalls> OF_LIBRARIES = new ConcurrentHashMap<>();

    private final Map<Question, Call> questions = new HashMap<>();
    private final Map<Integer, Call> lateSteps = new HashMap<>();
    private int givenUp;
    private long begun;

    private record Question(String function, int pid) {}

    /** The driver did not return in time; its call goes on. */
    static final class Overdue extends Exception {
        private static final long serialVersionUID = 1;

        Overdue() {
            super(null, null, false, false);
        }
    }

    /** What a question is answered: the driver's result, and what it has told. */
    record Answer(int result, int value) {}

    private static final class Call {
        final String function;
        final CompletableFuture<Answer> answer = new CompletableFuture<>();
        /** In the order in which calls and askers came. */
        final long number;

        boolean givenUp;

        Call(String function, long number) {
            this.function = function;
            this.number = number;
        }
    }

    /** Those of all that use this library in this JVM, since it is the library that does not return. */
    static DriverCalls of(String library) {
        DriverCalls made = new DriverCalls(); // without a lambda: the first of a JVM costs milliseconds
        DriverCalls known = OF_LIBRARIES.putIfAbsent(library, made);
        return known == null ? made : known;
    }

    /**
     * Asks about a process, and joins others that ask the same. The answer is never older than the question: what began before it is
     * waited for, and then asked again.
     *
     * @param limit empty to call on this thread and wait for ever
     * @throws TorporException {@link Problem#UNRESPONSIVE} if too many calls have been given up
     */
    Answer ask(String function, int pid, Optional<Duration> limit, Supplier<Answer> call) throws Overdue {
        if (limit.isEmpty()) {
            return call.get();
        }
        long deadline = System.nanoTime() + limit.get().toNanos();
        long number = number();
        while (true) {
            Call asked = joinOrBegin(new Question(function, pid), call);
            try {
                Answer answer = await(asked, deadline);
                if (asked.number > number) {
                    return answer;
                }
            } catch (IllegalStateException e) {
                if (asked.number > number) {
                    throw e;
                }
            }
        }
    }

    private synchronized long number() {
        return begun++;
    }

    private synchronized Call joinOrBegin(Question question, Supplier<Answer> call) {
        Call current = questions.get(question);
        if (current != null) {
            return current;
        }
        checkFew();
        Call made = new Call(question.function, begun++);
        start(question.function + "-" + question.pid, made, call, () -> questions.remove(question, made));
        questions.put(question, made);
        return made;
    }

    /**
     * Does a step of a process, always by a call of its own.
     *
     * @param limit empty to call on this thread and wait for ever
     * @return what the driver answered
     */
    int step(String function, int pid, Optional<Duration> limit, IntSupplier call) throws Overdue {
        if (limit.isEmpty()) {
            return call.getAsInt();
        }
        long deadline = System.nanoTime() + limit.get().toNanos();
        Call made;
        synchronized (this) {
            made = new Call(function, begun++);
            start(function + "-" + pid, made, () -> new Answer(call.getAsInt(), 0), () -> lateSteps.remove(pid, made));
        }
        try {
            return await(made, deadline).result;
        } catch (Overdue e) {
            synchronized (this) {
                if (!made.answer.isDone()) {
                    lateSteps.put(pid, made);
                    throw e;
                }
            }
            return await(made, deadline).result; // just so
        }
    }

    /** The function of a step of this process that was given up and has not returned; null if there is none. */
    synchronized @Nullable String lateStep(int pid) {
        Call late = lateSteps.get(pid);
        return late == null ? null : late.function;
    }

    /**
     * Waits for a step of this process that was given up.
     *
     * @param limit empty to wait for ever
     * @return what the driver answered; empty if there is no such step, or it failed in Java
     */
    Optional<Integer> awaitLateStep(int pid, Optional<Duration> limit) throws Overdue {
        Call late;
        synchronized (this) {
            late = lateSteps.get(pid);
        }
        if (late == null) {
            return Optional.empty();
        }
        try {
            return Optional.of(await(
                            late,
                            System.nanoTime() + limit.orElse(Timeouts.LONGEST).toNanos())
                    .result);
        } catch (IllegalStateException e) {
            return Optional.empty();
        }
    }

    /** @throws TorporException {@link Problem#UNRESPONSIVE} if too many calls have been given up */
    synchronized void checkFew() {
        if (givenUp >= MOST_GIVEN_UP) {
            throw new TorporException(
                    Problem.UNRESPONSIVE,
                    givenUp
                            + " calls of the driver were given up and have not returned, and each keeps a thread: the driver was not"
                            + " asked again. Wait until they return, or end the processes that they are about.");
        }
    }

    /** How many calls were given up and have not returned. */
    synchronized int givenUp() {
        return givenUp;
    }

    /** With the monitor, so that what is to happen at the end does not happen before it can. */
    private void start(String name, Call made, Supplier<Answer> call, Runnable atEnd) {
        Thread thread = new Thread(
                () -> {
                    try {
                        end(made, call.get(), null, atEnd);
                    } catch (Throwable t) {
                        end(made, null, t, atEnd);
                    }
                },
                "torpor-" + name);
        thread.setDaemon(true);
        thread.start();
    }

    private synchronized void end(Call made, @Nullable Answer answer, @Nullable Throwable thrown, Runnable atEnd) {
        atEnd.run();
        if (made.givenUp) {
            made.givenUp = false;
            givenUp--;
        }
        if (answer != null) {
            made.answer.complete(answer);
        } else {
            made.answer.completeExceptionally(thrown == null ? new AssertionError() : thrown);
        }
    }

    private synchronized void giveUp(Call call) {
        if (!call.answer.isDone() && !call.givenUp) {
            call.givenUp = true;
            givenUp++;
        }
    }

    /** An interrupt does not stop the driver, so it is kept for later. */
    private Answer await(Call call, long deadline) throws Overdue {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return call.answer.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (TimeoutException e) {
                    giveUp(call);
                    throw new Overdue();
                } catch (ExecutionException e) {
                    throw new IllegalStateException(
                            call.function + " failed in this program: " + e.getCause(), e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
