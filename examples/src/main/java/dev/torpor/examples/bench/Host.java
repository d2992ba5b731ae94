package dev.torpor.examples.bench;

import dev.torpor.Cuda;
import dev.torpor.GpuDevice;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.examples.Sizes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** What a reader of figures wants to know about where they were made. */
final class Host {
    static final String PERSISTENCE = "persistence mode";
    static final String ON = "on";

    private static final String UNKNOWN = "unknown";

    private Host() {}

    /** Names and values, in their order. Initialises CUDA in this process, which then holds the GPU: nothing can be measured after it. */
    static Map<String, String> facts(Cuda cuda) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("GPU", told(() -> gpus(cuda.devices())));
        facts.put("driver", told(() -> driver(cuda)));
        facts.put(PERSISTENCE, cuda.persistent().map(on -> on ? ON : "off").orElse(UNKNOWN));
        facts.put(
                "host",
                Runtime.getRuntime().availableProcessors() + " CPUs, " + memory() + ", Linux "
                        + System.getProperty("os.version"));
        facts.put("CRIU", told(() -> Criu.find().version()));
        facts.put("Java", Runtime.version() + ", binding " + cuda.provider());
        facts.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        return facts;
    }

    private static String told(Supplier<String> fact) {
        try {
            return fact.get();
        } catch (TorporException e) {
            return UNKNOWN;
        }
    }

    private static String gpus(List<GpuDevice> devices) {
        GpuDevice first = devices.get(0);
        return (devices.size() > 1 ? devices.size() + " GPUs, the first: " : "") + first.name() + ", "
                + Sizes.text(first.totalBytes());
    }

    private static String driver(Cuda cuda) {
        if (cuda.simulated()) {
            return "SIMULATED: no time here says anything about a GPU";
        }
        int version = cuda.driverVersion();
        return firstLine(Path.of("/sys/module/nvidia/version")) + " (CUDA " + version / 1000 + "." + version % 1000 / 10
                + ")";
    }

    private static String memory() {
        String digits = firstLine(Path.of("/proc/meminfo")).replaceAll("\\D", "");
        return digits.isEmpty() ? UNKNOWN : Sizes.text(Long.parseLong(digits) << 10);
    }

    private static String firstLine(Path file) {
        try {
            return Files.readAllLines(file).get(0).strip();
        } catch (IOException e) {
            return UNKNOWN;
        }
    }
}
