package dev.torpor;

import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.UUID;

/**
 * The UUID of a GPU, which identifies it across hosts and drivers.
 *
 * @param value its 16 bytes
 */
public record GpuUuid(UUID value) {
    private static final String PREFIX = "GPU-";

    /**
     * Reads the printed form.
     *
     * @param text like {@code GPU-f37fc8d7-5fea-4c4d-9dd9-1b3c5a1e4f2b}, with or without the {@code GPU-}
     * @throws IllegalArgumentException if it is none
     */
    public static GpuUuid parse(String text) {
        String digits =
                text.regionMatches(true, 0, PREFIX, 0, PREFIX.length()) ? text.substring(PREFIX.length()) : text;
        if (!digits.matches("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}")) {
            throw new IllegalArgumentException(
                    "'" + text
                            + "' is not a GPU UUID: write it like GPU-f37fc8d7-5fea-4c4d-9dd9-1b3c5a1e4f2b, as `torpor devices` prints it");
        }
        return new GpuUuid(UUID.fromString(digits.toLowerCase(Locale.ROOT)));
    }

    static GpuUuid of(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new GpuUuid(new UUID(buffer.getLong(), buffer.getLong()));
    }

    void writeTo(ByteBuffer buffer) {
        buffer.putLong(value.getMostSignificantBits()).putLong(value.getLeastSignificantBits());
    }

    /** Written out, as {@link #hashCode} is: what a record would generate costs a JVM milliseconds at its first use. */
    @Override
    public boolean equals(Object other) {
        return other instanceof GpuUuid uuid && value.equals(uuid.value);
    }

    @Override
    public int hashCode() {
        return value.hashCode();
    }

    @Override
    public String toString() {
        return PREFIX + value;
    }
}
