package dev.torpor;

import java.util.HashMap;
import java.util.Map;

/** Memory that transitions which begin together are going to take, so that none counts on what another needs. Not thread-safe. */
final class Claims {
    private final Map<GpuUuid, Long> device = new HashMap<>();
    private long host;

    Claims copy() {
        Claims copy = new Claims();
        copy.device.putAll(device);
        copy.host = host;
        return copy;
    }

    /** @return all that is claimed now, in bytes */
    long host(long bytes) {
        host += bytes;
        return host;
    }

    /** @return all that is claimed of the GPU now, in bytes */
    long device(GpuUuid gpu, long bytes) {
        return device.merge(gpu, bytes, Long::sum);
    }
}
