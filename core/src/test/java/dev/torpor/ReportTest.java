package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class ReportTest {
    private static Report report(List<Phase> undone, Optional<String> failure, boolean simulated) {
        return new Report(
                "suspend",
                4711,
                ProcessState.RUNNING,
                failure.isPresent() ? ProcessState.RUNNING : ProcessState.CHECKPOINTED,
                Duration.ofNanos(100_000),
                Duration.ofNanos(90_000),
                List.of(new Phase("lock", Duration.ofNanos(310_000)), new Phase("checkpoint", Duration.ofMillis(4110))),
                undone,
                9_000_000_000L,
                OptionalLong.of(9_328_132_096L),
                Optional.empty(),
                Duration.ofMillis(4111),
                failure,
                simulated);
    }

    @Test
    void itReadsAsOneLine() {
        assertThat(report(List.of(), Optional.empty(), false))
                .hasToString("lock 0.31 ms, checkpoint 4.11 s (2.3 GB/s); checkpointed");
    }

    @Test
    void whatWasUndoneAndWhyIsInIt() {
        assertThat(report(List.of(new Phase("unlock", Duration.ofMillis(12))), Optional.of("It broke."), true))
                .hasToString(
                        "SIMULATED: lock 0.31 ms, checkpoint 4.11 s (2.3 GB/s), undone by unlock 12.0 ms, It broke.; running");
    }

    @Test
    void timeOutsideTheDriverIsWhatNoStepAndNoQueryTook() {
        assertThat(report(List.of(), Optional.empty(), false).outsideDriver()).isEqualTo(Duration.ofNanos(600_000));
    }
}
