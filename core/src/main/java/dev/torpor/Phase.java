package dev.torpor;

import java.time.Duration;
import java.util.Locale;

/**
 * One timed part of a transition or of a warm-up.
 *
 * @param name what was done, {@code lock} for example
 * @param duration how long it took
 */
public record Phase(String name, Duration duration) {
    static Phase of(String name, long nanos) {
        return new Phase(name, Duration.ofNanos(nanos));
    }

    /** Like {@code lock 0.3 ms}. */
    @Override
    public String toString() {
        return name + " " + text(duration);
    }

    static String text(Duration duration) {
        double millis = duration.toNanos() / 1e6;
        return millis >= 1000
                ? String.format(Locale.ROOT, "%.2f s", millis / 1000)
                : String.format(Locale.ROOT, millis >= 100 ? "%.0f ms" : millis >= 10 ? "%.1f ms" : "%.2f ms", millis);
    }
}
