package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class TimeoutsTest {
    private static final long MAX_MILLIS = 0xFFFF_FFFFL;

    @Property
    void millisecondsAreUnsignedAndNeverShorterThanAsked(@ForAll @LongRange(max = MAX_MILLIS * 1_000_000) long nanos) {
        long millis = Integer.toUnsignedLong(Timeouts.millis(Duration.ofNanos(nanos)));
        assertThat(millis * 1_000_000).isGreaterThanOrEqualTo(nanos).isLessThan(nanos + 1_000_000);
    }

    @Test
    void theShortestTimeoutIsNotForEver() {
        assertThat(Timeouts.millis(Duration.ofNanos(1))).isEqualTo(1);
        assertThat(Timeouts.millis(Duration.ZERO)).isZero();
    }

    @Test
    void whatTheDriverCannotTakeIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> Timeouts.millis(Duration.ofMillis(-1)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Timeouts.millis(Duration.ofMillis(MAX_MILLIS).plusNanos(1)));
        assertThatIllegalArgumentException().isThrownBy(() -> Suspend.defaults().lockTimeout(Duration.ofDays(50)));
    }

    @Test
    void aStepNeedsSomeTime() {
        assertThatIllegalArgumentException().isThrownBy(() -> Suspend.defaults().stepTimeout(Duration.ZERO));
        assertThatIllegalArgumentException().isThrownBy(() -> Resume.defaults().stepTimeout(Duration.ofSeconds(-1)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Resume.defaults().stepTimeout(Duration.ofSeconds(Long.MAX_VALUE)));
    }
}
