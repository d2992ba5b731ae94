package dev.torpor;

import java.time.Duration;
import java.util.List;
import java.util.StringJoiner;

/**
 * What the first use of a GPU cost.
 *
 * @param device ordinal
 * @param phases library load, link (the first call through the binding), cuInit, device get, context retain, first allocation
 * @param total from the opening of the library to the first allocation
 * @param early whether cuInit and what follows ran on a native thread beside Java, so that the phases overlap
 * @param simulated whether the driver was the simulator
 */
public record WarmUpReport(int device, List<Phase> phases, Duration total, boolean early, boolean simulated) {
    /** Makes the list unmodifiable. */
    public WarmUpReport {
        phases = List.copyOf(phases);
    }

    /** Like {@code device 0: library load 8.11 ms, …; 215 ms}. */
    @Override
    public String toString() {
        StringJoiner text = new StringJoiner(
                ", ",
                (simulated ? "SIMULATED: " : "") + "device " + device + ": ",
                "; " + Phase.text(total) + " in all");
        for (Phase phase : phases) {
            text.add(phase.toString());
        }
        return text.toString();
    }
}
