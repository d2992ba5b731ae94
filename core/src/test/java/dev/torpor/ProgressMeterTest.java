package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class ProgressMeterTest {
    private final FakeDriver fake = new FakeDriver();

    @Test
    void everyStepIsToldAtItsBeginningAndItsEnd() {
        List<Progress> told = new CopyOnWriteArrayList<>();
        fake.process().suspend(Suspend.defaults().onProgress(told::add));
        assertThat(told.stream().map(Progress::step).distinct()).containsExactly(Step.LOCK, Step.CHECKPOINT);
        assertThat(told.stream()
                        .filter(progress -> progress.step() == Step.CHECKPOINT)
                        .count())
                .isGreaterThanOrEqualTo(2);
        assertThat(told).allSatisfy(progress -> {
            assertThat(progress.bytesTotal()).hasValue(fake.held);
            assertThat(progress.bytesMoved().isPresent()).isEqualTo(progress.step() == Step.CHECKPOINT);
            assertThat(progress.bytesMoved().orElse(0)).isBetween(0L, fake.held);
        });
    }

    @Test
    void aLongStepIsToldWhileItRuns() {
        CountDownLatch released = new CountDownLatch(1);
        AtomicInteger told = new AtomicInteger();
        fake.hang("cuCheckpointProcessCheckpoint", released);
        fake.process()
                .async(progress -> {
                    if (progress.step() == Step.CHECKPOINT && told.incrementAndGet() == 4) {
                        released.countDown();
                    }
                })
                .suspend()
                .join();
        assertThat(told).hasValueGreaterThanOrEqualTo(4);
    }

    @Test
    void aListenerThatThrowsIsToldNoMoreAndStopsNothing() {
        AtomicInteger told = new AtomicInteger();
        Report report = fake.process().suspend(Suspend.defaults().onProgress(progress -> {
            told.incrementAndGet();
            throw new IllegalStateException("a listener of a test fails on purpose");
        }));
        assertThat(report.end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(told).hasValue(1);
    }
}
