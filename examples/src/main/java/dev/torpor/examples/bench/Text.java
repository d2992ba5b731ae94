package dev.torpor.examples.bench;

import dev.torpor.examples.Sizes;
import java.util.Locale;

/** Numbers as the tables have them. */
final class Text {
    static final String NONE = "–";

    private Text() {}

    /** Like {@code 5.30 s (5.28..5.36)}, or {@code 148 ms (141..155)}: the median, the least and the greatest. */
    static String time(Sample seconds) {
        if (seconds.isEmpty()) {
            return NONE;
        }
        String unit = unit(seconds.median());
        return number(seconds.median(), unit) + " " + unit
                + (seconds.size() < 2
                        ? ""
                        : " (" + number(seconds.least(), unit) + ".." + number(seconds.greatest(), unit) + ")");
    }

    /** Like {@code 5.30 s}. */
    static String time(double seconds) {
        String unit = unit(seconds);
        return number(seconds, unit) + " " + unit;
    }

    private static String unit(double seconds) {
        return seconds >= 1 ? "s" : "ms";
    }

    private static String number(double seconds, String unit) {
        double value = unit.equals("s") ? seconds : seconds * 1000;
        int digits = unit.equals("s") ? 2 : value >= 100 ? 0 : value >= 10 ? 1 : 2;
        return String.format(Locale.ROOT, "%." + digits + "f", value);
    }

    /** Like {@code 2,324,616}, of the median. */
    static String count(Sample numbers) {
        return numbers.isEmpty() ? NONE : String.format(Locale.ROOT, "%,d", Math.round(numbers.median()));
    }

    /** Like {@code 512.3 MiB}, of the median. */
    static String bytes(Sample numbers) {
        return numbers.isEmpty() ? NONE : Sizes.text(Math.round(numbers.median()));
    }

    /** Like {@code 14.9 %}. */
    static String percent(double share) {
        return String.format(Locale.ROOT, "%.1f %%", 100 * share);
    }
}
