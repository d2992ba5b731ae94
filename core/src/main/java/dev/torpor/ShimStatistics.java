package dev.torpor;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;

/** What a shim has done so far, by the names that it gives. Immutable. */
public final class ShimStatistics {
    private final Map<String, String> values;

    private ShimStatistics(Map<String, String> values) {
        this.values = Collections.unmodifiableMap(values);
    }

    /** Reads {@code NAME=VALUE} separated by blanks; what has another form is left out. */
    static ShimStatistics parse(String line) {
        Map<String, String> values = new LinkedHashMap<>();
        for (String entry : line.strip().split("\\s+")) {
            int equals = entry.indexOf('=');
            if (equals > 0) {
                values.put(entry.substring(0, equals), entry.substring(equals + 1));
            }
        }
        return new ShimStatistics(values);
    }

    static ShimStatistics of(Map<String, String> values) {
        return new ShimStatistics(values);
    }

    /** All values by name, in the order of the shim; cannot be changed. */
    public Map<String, String> values() {
        return values;
    }

    /** The value of this name; empty if there is none, or it is no whole number. */
    public OptionalLong number(String name) {
        try {
            String value = values.get(name);
            return value == null ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(value));
        } catch (NumberFormatException e) {
            return OptionalLong.empty();
        }
    }

    /** As the shim writes them. */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder();
        values.forEach((name, value) ->
                line.append(line.isEmpty() ? "" : " ").append(name).append('=').append(value));
        return line.toString();
    }
}
