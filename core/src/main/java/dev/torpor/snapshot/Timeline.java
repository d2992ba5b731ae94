package dev.torpor.snapshot;

import dev.torpor.Phase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/** Phases, each from where the one before ended. */
final class Timeline {
    private final long begin = System.nanoTime();
    private final List<Phase> phases = new ArrayList<>();
    private long last = begin;

    void end(String name) {
        end(name, OptionalLong.empty());
    }

    /** @param bytes that were moved in it */
    void end(String name, OptionalLong bytes) {
        long now = System.nanoTime();
        phases.add(new Phase(name, Duration.ofNanos(now - last), bytes, List.of()));
        last = now;
    }

    List<Phase> phases() {
        return phases;
    }

    Map<String, Double> milliseconds() {
        Map<String, Double> times = new LinkedHashMap<>();
        phases.forEach(phase -> times.put(phase.name(), phase.duration().toNanos() / 1e6));
        return times;
    }

    Duration total() {
        return Duration.ofNanos(System.nanoTime() - begin);
    }
}
