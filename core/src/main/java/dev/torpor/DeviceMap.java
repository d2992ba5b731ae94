package dev.torpor;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;

/**
 * Onto which GPU a restore puts what was on another one: the {@code gpuPairs} of {@code CUcheckpointRestoreArgs}. The driver
 * wants a partner for every GPU of the host; those not mentioned stay where they are, or take the place that a mentioned one
 * left. Immutable.
 */
public final class DeviceMap {
    private static final int PAIR_BYTES = 32;
    private static final DeviceMap SAME = new DeviceMap(Map.of());

    private final Map<GpuUuid, GpuUuid> pairs;

    private DeviceMap(Map<GpuUuid, GpuUuid> pairs) {
        this.pairs = pairs;
    }

    /** Every GPU onto itself; the driver is given no pairs. */
    public static DeviceMap same() {
        return SAME;
    }

    /**
     * One GPU onto another.
     *
     * @throws TorporException {@link Problem#DEVICE_MAP} if one of the two is mapped already
     */
    public DeviceMap and(GpuUuid from, GpuUuid to) {
        Map<GpuUuid, GpuUuid> more = new LinkedHashMap<>(pairs);
        if (more.putIfAbsent(from, to) != null) {
            throw new TorporException(
                    Problem.DEVICE_MAP, "The device map sends " + from + " to two GPUs: name each old GPU once.");
        }
        if (pairs.containsValue(to)) {
            throw new TorporException(
                    Problem.DEVICE_MAP, "The device map sends two GPUs to " + to + ": name each new GPU once.");
        }
        return new DeviceMap(more);
    }

    /** As {@link #and}, for the first pair. */
    public static DeviceMap of(GpuUuid from, GpuUuid to) {
        return SAME.and(from, to);
    }

    /**
     * Reads pairs as the command line takes them.
     *
     * @param text {@code OLD=NEW[,OLD=NEW…]}, each a UUID or an ordinal among {@code devices}
     * @throws TorporException {@link Problem#DEVICE_MAP} if it cannot be read
     */
    public static DeviceMap parse(String text, Collection<GpuDevice> devices) {
        DeviceMap map = SAME;
        for (String pair : text.split(",", -1)) {
            String[] ends = pair.split("=", -1);
            if (ends.length != 2) {
                throw new TorporException(
                        Problem.DEVICE_MAP,
                        "'" + pair
                                + "' in the device map is not a pair: write OLD=NEW, each a GPU UUID or an ordinal.");
            }
            map = map.and(named(ends[0].strip(), devices), named(ends[1].strip(), devices));
        }
        return map;
    }

    private static GpuUuid named(String name, Collection<GpuDevice> devices) {
        for (GpuDevice device : devices) {
            if (name.equals(Integer.toString(device.ordinal()))) {
                return device.uuid();
            }
        }
        try {
            return GpuUuid.parse(name);
        } catch (IllegalArgumentException e) {
            throw new TorporException(
                    Problem.DEVICE_MAP,
                    "'" + name + "' in the device map is neither the ordinal of one of the " + devices.size()
                            + " GPUs here nor a GPU UUID: `torpor devices` lists both.");
        }
    }

    /** Whether nothing is mapped. */
    public boolean isSame() {
        return pairs.isEmpty();
    }

    /** Where the contents of a GPU go. */
    public GpuUuid target(GpuUuid from) {
        return pairs.getOrDefault(from, from);
    }

    /**
     * Adds a partner for every GPU of the host, so that nothing goes to the same GPU twice.
     *
     * @throws TorporException {@link Problem#DEVICE_MAP} if a new GPU is not on the host
     */
    DeviceMap completedFor(Collection<GpuUuid> host) {
        Map<GpuUuid, GpuUuid> complete = new LinkedHashMap<>(pairs);
        List<GpuUuid> free = new ArrayList<>(host);
        for (GpuUuid to : pairs.values()) {
            if (!free.remove(to)) {
                throw new TorporException(
                        Problem.DEVICE_MAP,
                        "The device map names " + to + ", which is not on this host: it has " + host + ".");
            }
        }
        List<GpuUuid> displaced = new ArrayList<>();
        for (GpuUuid device : host) {
            if (!complete.containsKey(device)) {
                if (free.remove(device)) {
                    complete.put(device, device);
                } else {
                    displaced.add(device);
                }
            }
        }
        Queue<GpuUuid> left = new ArrayDeque<>(free);
        for (GpuUuid device : displaced) {
            GpuUuid place = left.poll();
            if (place != null) {
                complete.put(device, place);
            }
        }
        return new DeviceMap(complete);
    }

    /** The pairs as the driver takes them: old UUID, new UUID, 16 bytes each. */
    byte[] toGpuPairs() {
        ByteBuffer bytes = ByteBuffer.allocate(pairs.size() * PAIR_BYTES);
        pairs.forEach((from, to) -> {
            from.writeTo(bytes);
            to.writeTo(bytes);
        });
        return bytes.array();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof DeviceMap map && pairs.equals(map.pairs);
    }

    @Override
    public int hashCode() {
        return pairs.hashCode();
    }

    @Override
    public String toString() {
        return pairs.isEmpty() ? "same GPUs" : pairs.toString();
    }
}
