package dev.torpor;

import dev.torpor.tools.TimeText;
import java.time.Duration;

/** What the driver and the library accept as a timeout. */
final class Timeouts {
    private static final long MAX_MILLIS = 0xFFFF_FFFFL;
    static final Duration LONGEST = Duration.ofDays(365);

    /** How long to wait for the end of a step that was given up, or whose answer was lost, so that it can be undone. */
    static final Duration LATE = Duration.ofSeconds(30);

    private Timeouts() {}

    /** The unsigned milliseconds of {@code CUcheckpointLockArgs.timeoutMs}: rounded up, so that 1 ns is not "for ever". */
    static int millis(Duration timeout) {
        Duration limit = Duration.ofMillis(MAX_MILLIS);
        if (timeout.isNegative() || timeout.compareTo(limit) > 0) {
            throw new IllegalArgumentException(
                    "a lock timeout of " + TimeText.of(timeout) + " is out of range: use 0 (no limit) to 1193 h");
        }
        return (int) timeout.plusNanos(999_999).toMillis();
    }

    static Duration positive(Duration timeout) {
        if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(LONGEST) > 0) {
            throw new IllegalArgumentException("a step timeout of " + TimeText.of(timeout)
                    + " is out of range: use more than 0, up to " + TimeText.of(LONGEST));
        }
        return timeout;
    }
}
