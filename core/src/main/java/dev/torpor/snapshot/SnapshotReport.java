package dev.torpor.snapshot;

import dev.torpor.Phase;
import dev.torpor.Report;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.StringJoiner;

/**
 * What a save or a load did.
 *
 * @param operation {@code save} or {@code load}
 * @param folder of the snapshot
 * @param pids of all processes, the root first
 * @param phases in their order: {@code check}, {@code suspend}, {@code dump}, {@code resume} (where they are left running) and
 *     {@code seal}; or {@code check}, {@code restore} and {@code resume}. Their bytes are what they have moved.
 * @param processes what was done to each process that uses CUDA
 * @param bytes of all files of the snapshot
 * @param total from the call to its end
 * @param notes what the caller should know besides; usually none
 * @param simulated whether the driver was the simulator, so that no duration says anything about a GPU
 */
public record SnapshotReport(
        String operation,
        Path folder,
        List<Long> pids,
        List<Phase> phases,
        List<Report> processes,
        long bytes,
        Duration total,
        List<String> notes,
        boolean simulated) {
    /** Makes the lists unmodifiable. */
    public SnapshotReport {
        pids = List.copyOf(pids);
        phases = List.copyOf(phases);
        processes = List.copyOf(processes);
        notes = List.copyOf(notes);
    }

    /** Like {@code check 4.1 ms, suspend 1.20 s (7.8 GB/s), dump 0.60 s, seal 20 ms}. */
    @Override
    public String toString() {
        StringJoiner text = new StringJoiner(", ", simulated ? "SIMULATED: " : "", "");
        phases.forEach(phase -> text.add(phase.toString()));
        notes.forEach(text::add);
        return text.toString();
    }
}
