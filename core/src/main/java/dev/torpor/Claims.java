package dev.torpor;

import java.util.HashMap;
import java.util.Map;

/** Memory that transitions which begin together are going to take, so that none counts on what another needs. Not thread-safe. */
final class Claims {
    private final Map<GpuUuid, Long> device = new HashMap<>();
    private final Map<String, Long> host = new HashMap<>();

    /** The claims so far, to which more may be added without these knowing. */
    Claims copy() {
        Claims copy = new Claims();
        copy.device.putAll(device);
        copy.host.putAll(host);
        return copy;
    }

    /**
     * Claims host memory of one owner: of the host, or of a control group that several processes may be in.
     *
     * @return all that is claimed of it now, in bytes
     */
    long host(String owner, long bytes) {
        return host.merge(owner, bytes, Long::sum);
    }

    /** @return all that is claimed of the GPU now, in bytes */
    long device(GpuUuid gpu, long bytes) {
        return device.merge(gpu, bytes, Long::sum);
    }
}
