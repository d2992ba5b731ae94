package dev.torpor;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * One timed part of a transition or of a warm-up.
 *
 * @param name what was done, {@code lock} for example
 * @param duration how long it took
 * @param bytes how much was moved; empty if nothing was, or nobody told
 * @param parts what the shim says of its own time in it: waiting for work to end, making host memory, copying, and so on
 */
public record Phase(String name, Duration duration, OptionalLong bytes, List<Phase> parts) {
    /** What takes less has moved nothing: it was there already. */
    private static final Duration SHORTEST = Duration.ofNanos(50_000);

    /** Makes the list unmodifiable. */
    public Phase {
        parts = List.copyOf(parts);
    }

    /** One that nothing else is known of. */
    public Phase(String name, Duration duration) {
        this(name, duration, OptionalLong.empty(), List.of());
    }

    static Phase of(String name, long nanos) {
        return new Phase(name, Duration.ofNanos(nanos));
    }

    /** How fast it moved what it moved, in 10^9 bytes a second; empty if nothing was moved, or in less time than says anything. */
    public OptionalDouble gigabytesPerSecond() {
        return speed(bytes, duration);
    }

    static OptionalDouble speed(OptionalLong bytes, Duration duration) {
        return bytes.orElse(0) > 0 && duration.compareTo(SHORTEST) >= 0
                ? OptionalDouble.of((double) bytes.getAsLong() / duration.toNanos())
                : OptionalDouble.empty();
    }

    /** Like {@code lock 0.3 ms}, or {@code park 192 ms (48.6 GB/s)}. */
    @Override
    public String toString() {
        return name + " " + text(duration) + text(gigabytesPerSecond());
    }

    static String text(OptionalDouble gigabytesPerSecond) {
        return gigabytesPerSecond.isPresent()
                ? String.format(Locale.ROOT, " (%.1f GB/s)", gigabytesPerSecond.getAsDouble())
                : "";
    }

    static String text(Duration duration) {
        double millis = duration.toNanos() / 1e6;
        return millis >= 1000
                ? String.format(Locale.ROOT, "%.2f s", millis / 1000)
                : String.format(Locale.ROOT, millis >= 100 ? "%.0f ms" : millis >= 10 ? "%.1f ms" : "%.2f ms", millis);
    }
}
