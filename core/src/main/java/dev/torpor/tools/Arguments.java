package dev.torpor.tools;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What a program is told, and how long it may take. Immutable.
 *
 * @param words its arguments
 * @param limit after which it is killed
 */
public record Arguments(List<String> words, Duration limit) {
    private static final Duration LONGEST = Duration.ofDays(365);

    /** No arguments, and 10 min. */
    public static final Arguments NONE = new Arguments(List.of(), Duration.ofMinutes(10));

    /** Makes the list unmodifiable. */
    public Arguments {
        words = List.copyOf(words);
        if (limit.isNegative() || limit.isZero() || limit.compareTo(LONGEST) > 0) {
            throw new IllegalArgumentException("a limit of " + TimeText.of(limit)
                    + " is out of range: use more than 0, up to " + TimeText.of(LONGEST));
        }
    }

    /** With these behind those that are there. */
    public Arguments with(String... more) {
        List<String> all = new ArrayList<>(words);
        all.addAll(List.of(more));
        return new Arguments(all, limit);
    }

    /** With another limit. */
    public Arguments limit(Duration time) {
        return new Arguments(words, time);
    }
}
