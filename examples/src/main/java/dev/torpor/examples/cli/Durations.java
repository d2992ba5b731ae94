package dev.torpor.examples.cli;

import dev.torpor.Level;
import dev.torpor.Suspend;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Durations as the command line takes them: {@code 500ms}, {@code 10s}, {@code 2m}, {@code 1h}, and {@code 0}. */
final class Durations {
    private static final Pattern DURATION = Pattern.compile("(0+)|(\\d{1,12})(ms|s|m|h)");

    private Durations() {}

    /** @throws IllegalArgumentException if it is no duration */
    static Duration parse(String text) {
        Matcher duration = DURATION.matcher(text);
        if (!duration.matches()) {
            throw new IllegalArgumentException("'" + text + "' is not a duration: write it like 500ms, 10s, 2m or 1h");
        }
        return duration.group(1) != null
                ? Duration.ZERO
                : Duration.of(Long.parseLong(duration.group(2)), unit(duration.group(3)));
    }

    private static ChronoUnit unit(String name) {
        return switch (name) {
            case "ms" -> ChronoUnit.MILLIS;
            case "s" -> ChronoUnit.SECONDS;
            case "m" -> ChronoUnit.MINUTES;
            default -> ChronoUnit.HOURS;
        };
    }

    /** One of any length. */
    static final class Any implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            try {
                return parse(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }

    /** One that the shim takes for its buffers. */
    static final class Idle implements ITypeConverter<Duration> {
        private static final Duration LONGEST = Duration.ofHours(1);

        @Override
        public Duration convert(String text) {
            Duration idle = new Any().convert(text);
            if (idle.compareTo(LONGEST) > 0) {
                throw new TypeConversionException("'" + text + "' is out of range: use 0 (never) to 1h");
            }
            return idle;
        }
    }

    /** One that the driver takes as a lock timeout. */
    static final class Lock implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            try {
                return Suspend.to(Level.CHECKPOINT).lockTimeout(parse(text)).lockTimeout();
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }

    /** One that the library takes as a step timeout. */
    static final class Step implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            try {
                Duration timeout = parse(text);
                Suspend unused = Suspend.to(Level.CHECKPOINT).stepTimeout(timeout);
                return timeout;
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }
}
