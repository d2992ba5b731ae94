package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.DeviceMap;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Onto which GPUs a process is restored. */
final class MapOption {
    @Option(
            names = "--device-map",
            paramLabel = "OLD=NEW[,OLD=NEW]",
            description =
                    "Restore memory of GPU OLD onto GPU NEW. Each is a UUID or an ordinal from `torpor devices`; name every GPU of the process.")
    private @Nullable String pairs;

    DeviceMap on(Cuda cuda) {
        return pairs == null ? DeviceMap.same() : DeviceMap.parse(pairs, cuda.devices());
    }
}
