package dev.torpor.examples.cli;

import dev.torpor.ShimOptions;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The settings of the shim. What is not given stays as the environment has it. */
final class ShimSettings {
    @Option(
            names = "--streams",
            paramLabel = "N",
            description =
                    "Streams that share a copy, 1 to 64. Default: three quarters of the cores, at most 12; none below 4 cores.")
    private @Nullable String streams;

    @Option(
            names = "--chunk",
            paramLabel = "SIZE",
            description = "What a stream copies at a time, 64K to 64M. Default: 4M.")
    private @Nullable String chunk;

    @Option(names = "--min", paramLabel = "SIZE", description = "Smallest copy that is shared, 64K to 1T. Default: 2M.")
    private @Nullable String min;

    @Option(
            names = "--start",
            paramLabel = "SIZE",
            description = "How much is copied before the first copy is shared, 0 to 1T. Default: 256M.")
    private @Nullable String start;

    @Option(
            names = "--idle",
            paramLabel = "TIME",
            converter = Durations.Idle.class,
            description = "Time without a copy after which its buffers are freed, up to 1h; 0: never. Default: 10s.")
    private @Nullable Duration idle;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description =
                    "Threads that prepare and copy the checkpoint buffer, 1 to 64. Default: one for each core, at most 16.")
    private @Nullable String threads;

    @Option(
            names = "--keep",
            paramLabel = "SIZE",
            description = "How much of the checkpoint buffer is kept for the next checkpoint, 0 to 1T. Default: 0.")
    private @Nullable String keep;

    @Option(
            names = "--log",
            paramLabel = "LEVEL",
            description = "What the shim writes to stderr: off, warn or info. Default: warn.")
    private @Nullable String log;

    @Option(
            names = "--park-min",
            paramLabel = "SIZE",
            description = "Smallest allocation that is parked, 2M to 1T. Default: 2M.")
    private @Nullable String parkMin;

    @Option(
            names = "--dir",
            paramLabel = "DIR",
            description =
                    "Directory of the control socket, an absolute path as the command sees it. Default: one that only its user may write to.")
    private @Nullable String folder;

    @Option(
            names = "--lean",
            description = {
                "Smaller CUDA contexts: sets CUDA_DEVICE_MAX_CONNECTIONS=1 and CUDA_SCALE_LAUNCH_QUEUES=0.25x, unless they are set.",
                "The driver's checkpoint and restore of a parked process then take half as long (77 and 77 ms instead of 147 and"
                        + " 145); the price is one hardware queue instead of eight, so that kernels of different"
                        + " streams wait for each other more often. Default: off."
            })
    private boolean lean;

    @Option(names = "--no-park", description = "The command cannot be parked.")
    private boolean noPark;

    @Option(names = "--no-rdma", description = "Allocations do not support GPUDirect RDMA, and take a tenth less time.")
    private boolean noRdma;

    @Option(
            names = "--freed-keep",
            paramLabel = "SIZE",
            description =
                    "How much freed device memory is kept on each GPU for the next allocations, 0 to 1T. Default: 256M.")
    private @Nullable String freedKeep;

    @Option(names = "--no-arena-keep", description = "Free the host memory of a park after each unpark.")
    private boolean noArenaKeep;

    @Option(names = "--no-copy", description = "Leave all copies to the driver.")
    private boolean noCopy;

    @Option(names = "--no-huge", description = "Leave the checkpoint buffer to the driver.")
    private boolean noHuge;

    /** @throws IllegalArgumentException if a value is malformed or out of range */
    ShimOptions options() {
        Map<String, String> environment = new LinkedHashMap<>();
        put(environment, "--streams", "TORPOR_COPY_STREAMS", streams);
        put(environment, "--chunk", "TORPOR_COPY_CHUNK", chunk);
        put(environment, "--min", "TORPOR_COPY_MIN", min);
        put(environment, "--start", "TORPOR_COPY_START", start);
        put(environment, "--idle", "TORPOR_COPY_IDLE_MS", milliseconds(idle));
        put(environment, "--threads", "TORPOR_BUFFER_THREADS", threads);
        put(environment, "--keep", "TORPOR_BUFFER_KEEP", keep);
        put(environment, "--park-min", "TORPOR_PARK_MIN", parkMin);
        put(environment, "--freed-keep", "TORPOR_FREED_KEEP", freedKeep);
        put(environment, "--dir", "TORPOR_DIR", folder);
        put(environment, "--log", "TORPOR_LOG", log);
        ShimOptions options = ShimOptions.of(environment);
        options = options.lean(lean);
        options = noPark ? options.park(false) : options;
        options = noRdma ? options.parkRdma(false) : options;
        options = noArenaKeep ? options.arenaKeep(false) : options;
        options = noCopy ? options.copy(false) : options;
        return noHuge ? options.bufferHuge(false) : options;
    }

    private static @Nullable String milliseconds(@Nullable Duration time) {
        return time == null ? null : Long.toString(time.toMillis());
    }

    /** Checks it alone, so that the message names the option instead of the variable. */
    private static void put(Map<String, String> environment, String option, String variable, @Nullable String value) {
        if (value == null) {
            return;
        }
        if (value.isEmpty()) {
            throw new IllegalArgumentException(option + " has no value");
        }
        try {
            environment.putAll(ShimOptions.of(Map.of(variable, value)).environment());
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(String.valueOf(e.getMessage()).replace(variable, option), e);
        }
    }
}
