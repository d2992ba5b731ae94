package dev.torpor;

import java.nio.file.Path;
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
 * <tr><td>{@link #copyStreams}</td><td>TORPOR_COPY_STREAMS</td><td>1 to 64</td><td>three quarters of the cores, 12 at most; below 4 cores no copy is taken over</td></tr>
 * <tr><td>{@link #copyChunk}</td><td>TORPOR_COPY_CHUNK</td><td>64K to 64M</td><td>4M</td></tr>
 * <tr><td>{@link #copyMin}</td><td>TORPOR_COPY_MIN</td><td>64K to 1T</td><td>2M</td></tr>
 * <tr><td>{@link #copyStart}</td><td>TORPOR_COPY_START</td><td>0 to 1T</td><td>256M</td></tr>
 * <tr><td>{@link #copyIdle}</td><td>TORPOR_COPY_IDLE_MS</td><td>0 to 3600000</td><td>10000</td></tr>
 * <tr><td>{@link #bufferHuge}</td><td>TORPOR_BUFFER_HUGE</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #bufferThreads}</td><td>TORPOR_BUFFER_THREADS</td><td>1 to 64</td><td>one for each core, 16 at most</td></tr>
 * <tr><td>{@link #bufferKeep}</td><td>TORPOR_BUFFER_KEEP</td><td>0 to 1T</td><td>0</td></tr>
 * <tr><td>{@link #park}</td><td>TORPOR_PARK</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #parkMin}</td><td>TORPOR_PARK_MIN</td><td>2M to 1T</td><td>2M</td></tr>
 * <tr><td>{@link #parkRdma}</td><td>TORPOR_PARK_RDMA</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #freedKeep}</td><td>TORPOR_FREED_KEEP</td><td>0 to 1T</td><td>256M</td></tr>
 * <tr><td>{@link #arenaKeep}</td><td>TORPOR_ARENA_KEEP</td><td>0 or 1</td><td>1</td></tr>
 * <tr><td>{@link #folder}</td><td>TORPOR_DIR</td><td>an absolute path</td><td>the first of its user's own, see docs/parking.md</td></tr>
 * <tr><td>{@link #log}</td><td>TORPOR_LOG</td><td>off, warn, info</td><td>warn</td></tr>
 * </table>
 *
 * Sizes are in bytes; in a variable, a number with K, M, G or T (powers of 1024) means the same. What each is good for is in
 * {@code docs/shim.md} and {@code docs/parking.md}.
 */
public final class ShimOptions {
    private static final ShimOptions DEFAULT = new ShimOptions(new EnumMap<>(ShimSetting.class), false);

    /** What a lean context is made of; CUDA's own variables. */
    private static final Map<String, String> LEAN =
            Map.of("CUDA_DEVICE_MAX_CONNECTIONS", "1", "CUDA_SCALE_LAUNCH_QUEUES", "0.25x");

    private final Map<ShimSetting, String> values;
    private final boolean lean;

    private ShimOptions(Map<ShimSetting, String> values, boolean lean) {
        this.values = values;
        this.lean = lean;
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
        Map<ShimSetting, String> values = new EnumMap<>(ShimSetting.class);
        for (ShimSetting setting : ShimSetting.values()) {
            String text = environment.get(setting.variable());
            if (text != null && !text.isEmpty()) {
                values.put(setting, setting.normal(text));
            }
        }
        return new ShimOptions(values, false);
    }

    private ShimOptions with(ShimSetting setting, long value) {
        return with(setting, setting.text(setting.checked(value)));
    }

    private ShimOptions with(ShimSetting setting, String text) {
        Map<ShimSetting, String> changed = new EnumMap<>(ShimSetting.class);
        changed.putAll(values);
        changed.put(setting, text);
        return new ShimOptions(changed, lean);
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

    /** How many threads prepare that buffer, and copy from and to it: 1 to 64; with 1 the driver copies by itself. */
    public ShimOptions bufferThreads(int threads) {
        return with(ShimSetting.BUFFER_THREADS, threads);
    }

    /** How much of that buffer's memory is kept for the next checkpoint, in bytes: 0 to 1 TiB; 0 keeps nothing. */
    public ShimOptions bufferKeep(long bytes) {
        return with(ShimSetting.BUFFER_KEEP, bytes);
    }

    /** Whether the process can be parked. */
    public ShimOptions park(boolean on) {
        return with(ShimSetting.PARK, on ? 1 : 0);
    }

    /** The smallest allocation that is parked, in bytes: 2 MiB to 1 TiB; smaller ones are left to the driver's checkpoint. */
    public ShimOptions parkMin(long bytes) {
        return with(ShimSetting.PARK_MIN, bytes);
    }

    /**
     * Whether allocations that can be parked are open to GPUDirect RDMA, as the driver's own are. Without it, making and freeing one
     * takes a tenth less time; network cards and other devices cannot reach the program's device memory then. On by default.
     */
    public ShimOptions parkRdma(boolean on) {
        return with(ShimSetting.PARK_RDMA, on ? 1 : 0);
    }

    /**
     * How much of the device memory that the program has freed is kept for its next allocations of the same size, on each device, in
     * bytes: 0 to 1 TiB; 256 MiB by default. It counts as free to the program, but not to other processes until the program is parked.
     */
    public ShimOptions freedKeep(long bytes) {
        return with(ShimSetting.FREED_KEEP, bytes);
    }

    /** Whether the host memory of a park is kept for the next one. */
    public ShimOptions arenaKeep(boolean on) {
        return with(ShimSetting.ARENA_KEEP, on ? 1 : 0);
    }

    /** The folder of the control socket: an absolute path, as the program sees it. */
    public ShimOptions folder(Path folder) {
        return with(ShimSetting.FOLDER, ShimSetting.FOLDER.normal(folder.toString()));
    }

    /**
     * Whether contexts are made leaner: {@code CUDA_DEVICE_MAX_CONNECTIONS=1} and {@code CUDA_SCALE_LAUNCH_QUEUES=0.25x}, where the
     * program's environment does not set them already. The driver then has less to save: its checkpoint and restore of a parked
     * context were measured at 77 and 77 ms instead of 147 and 145 ms. The price is one hardware queue instead of eight, so that
     * kernels of different streams wait for each other more often, and a quarter of the room for launches that are not yet done. Off
     * by default.
     */
    public ShimOptions lean(boolean on) {
        return new ShimOptions(values, on);
    }

    /** What it tells on stderr. */
    public ShimOptions log(Log level) {
        return with(ShimSetting.LOG, level.toString());
    }

    /** What is set, as variables of the shim. */
    public Map<String, String> environment() {
        Map<String, String> environment = new LinkedHashMap<>();
        values.forEach((setting, value) -> environment.put(setting.variable(), value));
        return Collections.unmodifiableMap(environment);
    }

    /** The variables of CUDA that {@link #lean} sets, where the program's environment does not set them; none if it is off. */
    public Map<String, String> leanEnvironment() {
        return lean ? LEAN : Map.of();
    }

    /** Like {@code TORPOR_COPY_STREAMS=8 TORPOR_LOG=info lean}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        environment()
                .forEach((name, value) -> text.append(text.isEmpty() ? "" : " ")
                        .append(name)
                        .append('=')
                        .append(value));
        if (lean) {
            text.append(text.isEmpty() ? "lean" : " lean");
        }
        return text.toString();
    }
}
