package dev.torpor.tools;

import java.time.Duration;

/** Durations as people write them, for sentences about settings. */
public final class TimeText {
    private static final String[] UNITS = {"h", "min", "s", "ms"};
    private static final long[] MILLIS = {3_600_000, 60_000, 1000, 1};

    private TimeText() {}

    /** Like {@code 90 min} or {@code 500 ms}: a whole number of the largest unit that fits; nothing below a millisecond is told. */
    public static String of(Duration time) {
        long millis = saturated(time);
        for (int i = 0; millis != 0 && i < UNITS.length; i++) {
            if (millis % MILLIS[i] == 0) {
                return millis / MILLIS[i] + " " + UNITS[i];
            }
        }
        return time.isZero() ? "0" : time.isNegative() ? "less than 0" : "less than 1 ms";
    }

    private static long saturated(Duration time) {
        try {
            return time.toMillis();
        } catch (ArithmeticException e) {
            return time.isNegative() ? Long.MIN_VALUE : Long.MAX_VALUE;
        }
    }
}
