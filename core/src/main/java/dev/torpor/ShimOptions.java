package dev.torpor;

import java.time.Duration;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Settings of the {@link Shim}, which it reads from the environment of the program that carries it. What is not set here stays as
 * it is in that environment, or else has the shim's default. Immutable: each method returns a changed copy, and throws
 * {@link IllegalArgumentException} for a value out of range.
 *
 * <table>
 * <caption>Settings</caption>
 * <tr><th>method</th><th>variable</th><th>range</th><th>default</th></tr>
 * <tr><td>{@link #copy}</td><td>TORPOR_COPY</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #copyStreams}</td><td>TORPOR_COPY_STREAMS</td><td>1 to 64</td><td>half of the cores, 8 at most; below 4 cores no copy is taken over</td></tr>
 * <tr><td>{@link #copyChunk}</td><td>TORPOR_COPY_CHUNK</td><td>64K to 64M</td><td>4M</td></tr>
 * <tr><td>{@link #copyMin}</td><td>TORPOR_COPY_MIN</td><td>64K to 1T</td><td>2M</td></tr>
 * <tr><td>{@link #copyStart}</td><td>TORPOR_COPY_START</td><td>0 to 1T</td><td>256M</td></tr>
 * <tr><td>{@link #copyIdle}</td><td>TORPOR_COPY_IDLE_MS</td><td>0 to 3600000</td><td>10000</td></tr>
 * <tr><td>{@link #bufferHuge}</td><td>TORPOR_BUFFER_HUGE</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #bufferThreads}</td><td>TORPOR_BUFFER_THREADS</td><td>1 to 64</td><td>one for each core, 16 at most</td></tr>
 * <tr><td>{@link #bufferKeep}</td><td>TORPOR_BUFFER_KEEP</td><td>0 to 1T</td><td>0</td></tr>
 * <tr><td>{@link #log}</td><td>TORPOR_LOG</td><td>off, warn, info</td><td>warn</td></tr>
 * </table>
 *
 * Sizes are in bytes; in a variable, a number with K, M, G or T (powers of 1024) means the same.
 */
public final class ShimOptions {
    private static final ShimOptions DEFAULT = new ShimOptions(new EnumMap<>(ShimSetting.class));

    private final Map<ShimSetting, Long> values;

    private ShimOptions(Map<ShimSetting, Long> values) {
        this.values = values;
    }

    /** What the shim tells on stderr. */
    public enum Log {
        /** Nothing. */
        OFF,
        /** What keeps it from its work. */
        WARN,
        /** What it does, too. */
        INFO;

        /** As the variable has it: {@code off}, {@code warn}, {@code info}. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Nothing is set. */
    public static ShimOptions defaults() {
        return DEFAULT;
    }

    /**
     * What is set in an environment; other variables in it do not matter, and an empty value counts as unset.
     *
     * @throws IllegalArgumentException if a value is malformed or out of range; the message names the variable, its value and what
     *     it may be
     */
    public static ShimOptions of(Map<String, String> environment) {
        Map<ShimSetting, Long> values = new EnumMap<>(ShimSetting.class);
        for (ShimSetting setting : ShimSetting.values()) {
            String text = environment.get(setting.variable());
            if (text != null && !text.isEmpty()) {
                values.put(setting, setting.parse(text));
            }
        }
        return new ShimOptions(values);
    }

    private ShimOptions with(ShimSetting setting, long value) {
        Map<ShimSetting, Long> changed = new EnumMap<>(ShimSetting.class);
        changed.putAll(values);
        changed.put(setting, setting.checked(value));
        return new ShimOptions(changed);
    }

    /** Whether copies are taken over at all. */
    public ShimOptions copy(boolean on) {
        return with(ShimSetting.COPY, on ? 1 : 0);
    }

    /** How many streams share a copy: 1 to 64. */
    public ShimOptions copyStreams(int streams) {
        return with(ShimSetting.COPY_STREAMS, streams);
    }

    /** The bytes that a stream copies at a time: 64 KiB to 64 MiB. */
    public ShimOptions copyChunk(long bytes) {
        return with(ShimSetting.COPY_CHUNK, bytes);
    }

    /** The smallest copy that is taken over, in bytes: 64 KiB to 1 TiB. */
    public ShimOptions copyMin(long bytes) {
        return with(ShimSetting.COPY_MIN, bytes);
    }

    /** How many bytes of such copies are seen before the first is taken over: 0 to 1 TiB. */
    public ShimOptions copyStart(long bytes) {
        return with(ShimSetting.COPY_START, bytes);
    }

    /**
     * After how long without a copy its buffers are given up: up to an hour, in milliseconds, rounded up; {@link Duration#ZERO}
     * keeps them for ever.
     */
    public ShimOptions copyIdle(Duration idle) {
        boolean absurd = idle.isNegative() || idle.compareTo(Duration.ofDays(1)) > 0;
        return with(ShimSetting.COPY_IDLE, absurd ? -1 : idle.plusNanos(999_999).toMillis());
    }

    /** Whether the driver's checkpoint buffer is made of huge pages. */
    public ShimOptions bufferHuge(boolean on) {
        return with(ShimSetting.BUFFER_HUGE, on ? 1 : 0);
    }

    /** How many threads prepare that buffer: 1 to 64. */
    public ShimOptions bufferThreads(int threads) {
        return with(ShimSetting.BUFFER_THREADS, threads);
    }

    /** How much of that buffer's memory is kept for the next checkpoint, in bytes: 0 to 1 TiB; 0 keeps nothing. */
    public ShimOptions bufferKeep(long bytes) {
        return with(ShimSetting.BUFFER_KEEP, bytes);
    }

    /** What it tells on stderr. */
    public ShimOptions log(Log level) {
        return with(ShimSetting.LOG, ShimSetting.LOG.parse(level.toString()));
    }

    /** What is set, as variables. */
    public Map<String, String> environment() {
        Map<String, String> environment = new LinkedHashMap<>();
        values.forEach((setting, value) -> environment.put(setting.variable(), setting.text(value)));
        return Collections.unmodifiableMap(environment);
    }

    /** Like {@code TORPOR_COPY_STREAMS=8 TORPOR_LOG=info}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        environment()
                .forEach((name, value) -> text.append(text.isEmpty() ? "" : " ")
                        .append(name)
                        .append('=')
                        .append(value));
        return text.toString();
    }
}
