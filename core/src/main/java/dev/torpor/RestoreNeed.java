package dev.torpor;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpointed process needs on each GPU, as the controller that suspended it saw it, and what tells this suspend from others of
 * the same process. Immutable; its text is the record that {@link RestoreRecords} keeps.
 *
 * @param pid process id, in the pid namespace of the controller
 * @param startTime of the process, in clock ticks since boot
 * @param bytes on each GPU where the process was, with what the shim had parked
 * @param mapping the address range of the mapping that the driver made for the checkpoint, as {@code /proc/PID/maps} has it
 * @param driverBuffers how often the shim had given the driver its buffer, this checkpoint included
 */
record RestoreNeed(
        long pid, long startTime, Map<GpuUuid, Long> bytes, Optional<String> mapping, OptionalLong driverBuffers) {
    private static final String TITLE = "torpor restore need 1";
    private static final String END = "end";
    private static final String RANGE = "[0-9a-f]{1,16}-[0-9a-f]{1,16}";
    private static final String NUMBER = "\\d{1,18}";

    RestoreNeed {
        bytes = Map.copyOf(bytes);
    }

    RestoreNeed identifiedBy(Optional<String> madeMapping, OptionalLong buffers) {
        return new RestoreNeed(pid, startTime, bytes, madeMapping, buffers);
    }

    /** On all GPUs. */
    long total() {
        return Preflight.sum(bytes);
    }

    /** A line for each fact; the last one tells that the text is complete. */
    String text() {
        StringBuilder text = new StringBuilder(TITLE).append('\n');
        text.append("pid ").append(pid).append('\n');
        text.append("start ").append(startTime).append('\n');
        mapping.ifPresent(range -> text.append("mapping ").append(range).append('\n'));
        driverBuffers.ifPresent(
                count -> text.append("driver-buffers ").append(count).append('\n'));
        bytes.forEach((gpu, need) ->
                text.append("device ").append(gpu).append(' ').append(need).append('\n'));
        return text.append(END).append('\n').toString();
    }

    /** @return null if the text is none that {@link #text} has made */
    static @Nullable RestoreNeed parse(String text) {
        String[] lines = text.split("\n", -1);
        if (lines.length < 3
                || !lines[0].equals(TITLE)
                || !lines[lines.length - 1].isEmpty()
                || !lines[lines.length - 2].equals(END)) {
            return null;
        }
        Map<String, String> facts = new LinkedHashMap<>();
        Map<GpuUuid, Long> bytes = new LinkedHashMap<>();
        for (int i = 1; i < lines.length - 2; i++) {
            String[] words = lines[i].split(" ", -1);
            boolean device = words.length == 3 && words[0].equals("device") && isNumber(words[2]);
            if (device
                    ? !addDevice(bytes, words)
                    : words.length != 2 || facts.putIfAbsent(words[0], words[1]) != null) {
                return null;
            }
        }
        return of(facts, bytes);
    }

    private static @Nullable RestoreNeed of(Map<String, String> facts, Map<GpuUuid, Long> bytes) {
        String mapping = facts.get("mapping");
        String buffers = facts.get("driver-buffers");
        if (!isNumber(facts.get("pid"))
                || !isNumber(facts.get("start"))
                || (mapping != null && !mapping.matches(RANGE))
                || (buffers != null && !isNumber(buffers))) {
            return null;
        }
        return new RestoreNeed(
                Long.parseLong(facts.getOrDefault("pid", "")),
                Long.parseLong(facts.getOrDefault("start", "")),
                bytes,
                Optional.ofNullable(mapping),
                buffers == null ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(buffers)));
    }

    private static boolean addDevice(Map<GpuUuid, Long> bytes, String[] words) {
        try {
            return bytes.putIfAbsent(GpuUuid.parse(words[1]), Long.parseLong(words[2])) == null;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static boolean isNumber(@Nullable String text) {
        return text != null && text.matches(NUMBER);
    }
}
