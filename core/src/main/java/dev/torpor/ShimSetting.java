package dev.torpor;

import java.util.List;

/** A setting of the shim: its variable, how its value is written, and what it may be. */
enum ShimSetting {
    COPY("TORPOR_COPY", Kind.NUMBER, 0, 1),
    COPY_STREAMS("TORPOR_COPY_STREAMS", Kind.NUMBER, 1, 64),
    COPY_CHUNK("TORPOR_COPY_CHUNK", Kind.SIZE, 64 << 10, 64 << 20),
    COPY_MIN("TORPOR_COPY_MIN", Kind.SIZE, 64 << 10, 1L << 40),
    COPY_START("TORPOR_COPY_START", Kind.SIZE, 0, 1L << 40),
    COPY_IDLE("TORPOR_COPY_IDLE_MS", Kind.NUMBER, 0, 3_600_000),
    BUFFER_HUGE("TORPOR_BUFFER_HUGE", Kind.NUMBER, 0, 1),
    BUFFER_THREADS("TORPOR_BUFFER_THREADS", Kind.NUMBER, 1, 64),
    BUFFER_KEEP("TORPOR_BUFFER_KEEP", Kind.SIZE, 0, 1L << 40),
    PARK("TORPOR_PARK", Kind.NUMBER, 0, 1),
    PARK_MIN("TORPOR_PARK_MIN", Kind.SIZE, 2 << 20, 1L << 40),
    PARK_RDMA("TORPOR_PARK_RDMA", Kind.NUMBER, 0, 1),
    FREED_KEEP("TORPOR_FREED_KEEP", Kind.SIZE, 0, 1L << 40),
    ARENA_KEEP("TORPOR_ARENA_KEEP", Kind.NUMBER, 0, 1),
    FOLDER("TORPOR_DIR", Kind.FOLDER, 0, 0),
    LOG("TORPOR_LOG", Kind.LEVEL, 0, 2);

    private static final List<String> LEVELS = List.of("off", "warn", "info");
    private static final String UNITS = "KMGT";
    private static final int KIBI_BITS = 10;
    private static final int DIGITS = 13; // 1T in bytes has as many

    private enum Kind {
        NUMBER,
        SIZE,
        LEVEL,
        FOLDER
    }

    private final String variable;
    private final Kind kind;
    private final long smallest;
    private final long largest;

    ShimSetting(String variable, Kind kind, long smallest, long largest) {
        this.variable = variable;
        this.kind = kind;
        this.smallest = smallest;
        this.largest = largest;
    }

    String variable() {
        return variable;
    }

    /**
     * The text of a value, as this class writes it.
     *
     * @throws IllegalArgumentException if the text is not a value of this setting
     */
    String normal(String text) {
        if (kind != Kind.FOLDER) {
            return text(parse(text));
        }
        if (!text.startsWith("/") || text.indexOf('\0') >= 0) {
            throw wrong("'" + text + "'");
        }
        return text;
    }

    /** @throws IllegalArgumentException if it is out of range */
    long checked(long value) {
        if (value < smallest || value > largest) {
            throw wrong(Long.toString(value));
        }
        return value;
    }

    /** As {@link #normal}, for a setting that is a number. */
    long parse(String text) {
        long value = kind == Kind.LEVEL ? LEVELS.indexOf(text) : number(text);
        if (value < smallest || value > largest) {
            throw wrong("'" + text + "'");
        }
        return value;
    }

    /** -1 if it is none. */
    private long number(String text) {
        int end = text.length();
        int power = 0;
        int unit = end == 0 ? -1 : UNITS.indexOf(Character.toUpperCase(text.charAt(end - 1)));
        if (kind == Kind.SIZE && unit >= 0) {
            end--;
            power = 1 + unit;
        }
        long value = end == 0 || end > DIGITS ? -1 : 0;
        for (int i = 0; i < end && value >= 0; i++) {
            char digit = text.charAt(i);
            value = digit < '0' || digit > '9' ? -1 : 10 * value + digit - '0';
        }
        for (int i = 0; i < power && value <= largest; i++) {
            value <<= KIBI_BITS;
        }
        return value;
    }

    private IllegalArgumentException wrong(String value) {
        return new IllegalArgumentException(variable + " is " + range() + ", not " + value);
    }

    private String range() {
        return switch (kind) {
            case NUMBER -> "from " + smallest + " to " + largest;
            case SIZE -> "from " + size(smallest) + " to " + size(largest) + " bytes";
            case LEVEL -> "off, warn or info";
            case FOLDER -> "an absolute path";
        };
    }

    /** As the shim reads it. */
    String text(long value) {
        return switch (kind) {
            case NUMBER, FOLDER -> Long.toString(value);
            case SIZE -> size(value);
            case LEVEL -> LEVELS.get((int) value);
        };
    }

    private static String size(long bytes) {
        long value = bytes;
        int power = 0;
        while (value != 0 && power < UNITS.length() && value % (1 << KIBI_BITS) == 0) {
            value >>= KIBI_BITS;
            power++;
        }
        return power == 0 ? Long.toString(value) : value + UNITS.substring(power - 1, power);
    }
}
