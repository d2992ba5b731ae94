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
                    "How many streams share a copy, 1 to 64. Default: three quarters of the cores, 12 at most; none below 4 cores.")
    private @Nullable String streams;

    @Option(
            names = "--chunk",
            paramLabel = "SIZE",
            description = "What a stream copies at a time, 64K to 64M. Default: 4M.")
    private @Nullable String chunk;

    @Option(
            names = "--min",
            paramLabel = "SIZE",
            description = "The smallest copy that is taken over, 64K to 1T. Default: 2M.")
    private @Nullable String min;

    @Option(
            names = "--start",
            paramLabel = "SIZE",
            description = "How much of such copies is seen before the first is taken over, 0 to 1T. Default: 256M.")
    private @Nullable String start;

    @Option(
            names = "--idle",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            description = "After how long without a copy its buffers are given up, up to 1h; 0: never. Default: 10s.")
    private @Nullable Duration idle;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description =
                    "How many threads prepare and copy the checkpoint buffer, 1 to 64. Default: one for each core, 16 at most.")
    private @Nullable String threads;

    @Option(
            names = "--keep",
            paramLabel = "SIZE",
            description = "How much of the checkpoint buffer is kept for the next checkpoint, 0 to 1T. Default: 0.")
    private @Nullable String keep;

    @Option(
            names = "--log",
            paramLabel = "LEVEL",
            description = "What the shim tells on stderr: off, warn or info. Default: warn.")
    private @Nullable String log;

    @Option(
            names = "--park-min",
            paramLabel = "SIZE",
            description =
                    "The smallest allocation that is parked, 2M to 1T; smaller ones are the driver's. Default: 2M.")
    private @Nullable String parkMin;

    @Option(
            names = "--dir",
            paramLabel = "FOLDER",
            description =
                    "The folder of the control socket, as the command sees it. Default: /tmp/torpor-UID, its user's own.")
    private @Nullable String folder;

    @Option(
            names = "--lean",
            description = {
                "Have cheaper contexts: CUDA_DEVICE_MAX_CONNECTIONS=1 and CUDA_SCALE_LAUNCH_QUEUES=0.25x, unless they are set.",
                "The driver's checkpoint and restore of a parked process then take half as long (77 and 77 ms instead of 147 and"
                        + " 145); the price is one hardware queue instead of eight, so that kernels of different"
                        + " streams wait for each other more often. Default: off."
            })
    private boolean lean;

    @Option(names = "--no-park", description = "The command cannot be parked; all its memory is the driver's.")
    private boolean noPark;

    @Option(
            names = "--no-rdma",
            description = "The command's allocations are not open to GPUDirect RDMA, and take a tenth less time.")
    private boolean noRdma;

    @Option(
            names = "--freed-keep",
            paramLabel = "SIZE",
            description =
                    "How much freed device memory is kept for the next allocations, on each GPU, 0 to 1T. Default: 256M.")
    private @Nullable String freedKeep;

    @Option(names = "--no-arena-keep", description = "Give the host memory of a park back after each unpark.")
    private boolean noArenaKeep;

    @Option(names = "--no-copy", description = "Leave all copies to the driver.")
    private boolean noCopy;

    @Option(names = "--no-huge", description = "Leave the checkpoint buffer to the driver.")
    private boolean noHuge;

    /** @throws IllegalArgumentException if a value is malformed or out of range */
    ShimOptions options() {
        Map<String, @Nullable String> given = new LinkedHashMap<>();
        given.put("TORPOR_COPY_STREAMS", streams);
        given.put("TORPOR_COPY_CHUNK", chunk);
        given.put("TORPOR_COPY_MIN", min);
        given.put("TORPOR_COPY_START", start);
        given.put("TORPOR_BUFFER_THREADS", threads);
        given.put("TORPOR_BUFFER_KEEP", keep);
        given.put("TORPOR_PARK_MIN", parkMin);
        given.put("TORPOR_FREED_KEEP", freedKeep);
        given.put("TORPOR_DIR", folder);
        given.put("TORPOR_LOG", log);
        Map<String, String> environment = new LinkedHashMap<>();
        given.forEach((name, value) -> {
            if (value != null) {
                environment.put(name, value);
            }
        });
        ShimOptions options = ShimOptions.of(environment);
        options = idle == null ? options : options.copyIdle(idle);
        options = options.lean(lean);
        options = noPark ? options.park(false) : options;
        options = noRdma ? options.parkRdma(false) : options;
        options = noArenaKeep ? options.arenaKeep(false) : options;
        options = noCopy ? options.copy(false) : options;
        return noHuge ? options.bufferHuge(false) : options;
    }
}
