package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.awaitility.Awaitility.await;

import dev.torpor.DriverCalls.Answer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** No driver is needed: a call that hangs is a latch that is not open. */
class DriverCallsTest {
    private static final String STATE = "getState";
    private static final Optional<Duration> SHORT = Optional.of(Duration.ofMillis(20));
    private static final Optional<Duration> LONG = Optional.of(Duration.ofSeconds(50));

    private final DriverCalls calls = new DriverCalls();
    private final CountDownLatch end = new CountDownLatch(1);
    private final AtomicInteger asked = new AtomicInteger();
    private final AtomicInteger value = new AtomicInteger();

    @AfterEach
    void letAllEnd() {
        end.countDown();
    }

    private static void awaitOpen(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Hangs, and tells what was true when it ended. */
    private Answer hang() {
        asked.incrementAndGet();
        awaitOpen(end);
        return new Answer(0, value.get());
    }

    private void giveUp(int pid, Supplier<Answer> call) {
        try {
            calls.ask(STATE, pid, SHORT, call);
            throw new AssertionError("it did return");
        } catch (DriverCalls.Overdue e) {
            return;
        }
    }

    private static long threads(String name) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("torpor-" + name))
                .count();
    }

    @Test
    void aQuestionThatIsGivenUpTenTimesKeepsOneThread() throws DriverCalls.Overdue {
        for (int i = 0; i < 10; i++) {
            giveUp(4711, this::hang);
        }
        assertThat(asked).hasValue(1);
        assertThat(threads(STATE + "-4711")).isEqualTo(1);
        assertThat(calls.givenUp()).isEqualTo(1);
        giveUp(4712, this::hang);
        assertThat(calls.givenUp()).isEqualTo(2);
        end.countDown();
        await().until(() -> calls.givenUp() == 0);
        assertThat(calls.ask(STATE, 4711, LONG, this::hang)).isEqualTo(new Answer(0, 0));
    }

    /** What began before the question may have been answered before it, too. */
    @Test
    void anAnswerIsNeverOlderThanItsQuestion() throws DriverCalls.Overdue {
        CountDownLatch seen = new CountDownLatch(1);
        CountDownLatch tell = new CountDownLatch(1);
        giveUp(1, () -> {
            Answer old = new Answer(0, value.get());
            seen.countDown();
            awaitOpen(tell);
            return old;
        });
        awaitOpen(seen);
        value.set(7);
        CompletableFuture<Answer> later = CompletableFuture.supplyAsync(() -> {
            try {
                return calls.ask(STATE, 1, LONG, () -> new Answer(0, value.get()));
            } catch (DriverCalls.Overdue e) {
                throw new IllegalStateException(e);
            }
        });
        tell.countDown();
        assertThat(later.join().value()).isEqualTo(7);
    }

    @Test
    void aQuestionWithoutALimitIsAskedOnItsOwnThread() throws DriverCalls.Overdue {
        Thread[] on = new Thread[1];
        giveUp(1, this::hang);
        assertThat(calls.ask(STATE, 1, Optional.empty(), () -> {
                    on[0] = Thread.currentThread();
                    return new Answer(1, 2);
                }))
                .isEqualTo(new Answer(1, 2));
        assertThat(on[0]).isEqualTo(Thread.currentThread());
    }

    @Test
    void soManyThreadsAndNoMore() {
        for (int pid = 0; pid < DriverCalls.MOST_GIVEN_UP; pid++) {
            giveUp(pid, this::hang);
        }
        assertThat(failure(Problem.UNRESPONSIVE, () -> calls.ask(STATE, 9999, LONG, () -> new Answer(0, 0))))
                .hasMessageContaining("64 calls of the driver were given up and have not returned")
                .hasMessageContaining("Wait until they return");
        giveUp(5, this::hang); // joins
        failure(Problem.UNRESPONSIVE, calls::checkFew);
        end.countDown();
        await().until(() -> calls.givenUp() == 0);
        calls.checkFew();
    }

    @Test
    void aCallThatFailsInJavaFailsForThoseThatHaveAskedIt() throws DriverCalls.Overdue {
        assertThatIllegalStateException()
                .isThrownBy(() -> calls.ask(STATE, 1, LONG, () -> {
                    throw new StackOverflowError("deep");
                }))
                .withCauseInstanceOf(StackOverflowError.class);
        assertThatIllegalStateException()
                .isThrownBy(() -> calls.step("lock", 1, LONG, () -> {
                    throw new NoClassDefFoundError("gone");
                }))
                .withCauseInstanceOf(NoClassDefFoundError.class);
        assertThat(calls.ask(STATE, 1, LONG, () -> new Answer(0, 3)).value()).isEqualTo(3);
        assertThat(calls.lateStep(1)).isNull();
    }

    @Test
    void anInterruptIsKeptAndCutsNothingShort() throws DriverCalls.Overdue {
        Thread.currentThread().interrupt();
        int result = calls.step("lock", 1, LONG, () -> 5);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(result).isEqualTo(5);
    }

    @Test
    void aStepThatWasGivenUpIsKnownUntilItEnds() throws DriverCalls.Overdue {
        assertThat(calls.awaitLateStep(1, SHORT)).isEmpty();
        for (int i = 0; i < 2; i++) { // a later step joins no earlier one
            try {
                calls.step("lock", 1, SHORT, () -> hang().result() + 3);
                throw new AssertionError("it did return");
            } catch (DriverCalls.Overdue e) {
                assertThat(asked).hasValue(i + 1);
            }
        }
        assertThat(calls.lateStep(1)).isEqualTo("lock");
        assertThat(calls.lateStep(2)).isNull();
        try {
            calls.awaitLateStep(1, SHORT);
            throw new AssertionError("it did return");
        } catch (DriverCalls.Overdue e) {
            assertThat(calls.givenUp()).isEqualTo(2);
        }
        end.countDown();
        Optional<Integer> result = calls.awaitLateStep(1, LONG);
        assertThat(result.orElse(3)).isEqualTo(3);
        await().until(() -> calls.lateStep(1) == null && calls.givenUp() == 0);
    }

    /** However many threads ask and give up, there is one call for each process at any time. */
    @Property(tries = 30)
    void askersOfAnyNumberHaveOneCallAtATime(
            @ForAll @Size(min = 2, max = 12) List<@IntRange(min = 0, max = 2) Integer> pids) {
        DriverCalls of = new DriverCalls();
        AtomicInteger[] within = {new AtomicInteger(), new AtomicInteger(), new AtomicInteger()};
        AtomicInteger most = new AtomicInteger();
        List<CompletableFuture<Void>> askers = new ArrayList<>();
        for (int i = 0; i < pids.size(); i++) {
            int pid = pids.get(i);
            Optional<Duration> limit = i % 3 == 0 ? Optional.of(Duration.ofNanos(1)) : LONG;
            askers.add(CompletableFuture.runAsync(() -> {
                try {
                    Answer answer = of.ask(STATE, pid, limit, () -> {
                        most.accumulateAndGet(within[pid].incrementAndGet(), Math::max);
                        Uninterrupted.sleep(Duration.ofMillis(1));
                        within[pid].decrementAndGet();
                        return new Answer(0, pid);
                    });
                    assertThat(answer.value()).isEqualTo(pid);
                } catch (DriverCalls.Overdue e) {
                    assertThat(limit).isNotEqualTo(LONG);
                }
            }));
        }
        askers.forEach(CompletableFuture::join);
        assertThat(most).hasValue(1);
        await().until(() -> of.givenUp() == 0);
    }
}
