package dev.torpor;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.StringJoiner;

/**
 * What a transition did.
 *
 * @param operation {@code suspend}, {@code resume}, or the single step
 * @param pid of the process
 * @param start state before
 * @param end state after; {@link ProcessState#UNKNOWN} if the driver did not tell
 * @param checks what was looked at before anything was touched, in wall-clock time
 * @param queries of it, and of the time after the steps: within cuCheckpointProcessGetState, whose answer comes from a thread
 *     of the process that may have to wake up, and within questions to its shim
 * @param steps the steps of the driver and of the shim that were done, in their order
 * @param undone the steps that were done after a failure, to get back to the state before
 * @param hostBytesGained what the resident memory of the process grew by; negative if it shrank
 * @param deviceBytes device memory that the process held before a suspend, or after a resume; empty if NVML did not tell
 * @param driverOnly why a suspend to {@link Level#CHECKPOINT} was the driver's work alone, in a few words; empty if the shim parked the
 *     process, or had nothing to do with the operation
 * @param total from the call to its end
 * @param failure what failed, in a sentence; empty for a success
 * @param simulated whether the driver was the simulator, so that no duration says anything about a GPU
 */
public record Report(
        String operation,
        long pid,
        ProcessState start,
        ProcessState end,
        Duration checks,
        Duration queries,
        List<Phase> steps,
        List<Phase> undone,
        long hostBytesGained,
        OptionalLong deviceBytes,
        Optional<String> driverOnly,
        Duration total,
        Optional<String> failure,
        boolean simulated) {

    /** Makes the lists unmodifiable. */
    public Report {
        steps = List.copyOf(steps);
        undone = List.copyOf(undone);
    }

    /** Time within calls of the driver and commands of the shim: steps and state queries. */
    public Duration driverTime() {
        return sum(steps).plus(sum(undone)).plus(queries);
    }

    /** Time that the library took around the driver's calls. */
    public Duration outsideDriver() {
        return total.minus(driverTime());
    }

    private static Duration sum(List<Phase> phases) {
        Duration sum = Duration.ZERO;
        for (Phase phase : phases) {
            sum = sum.plus(phase.duration());
        }
        return sum;
    }

    /** Like {@code lock 0.31 ms, checkpoint 4.11 s (2.3 GB/s), driver only; checkpointed}. */
    @Override
    public String toString() {
        StringJoiner text = new StringJoiner(", ", simulated ? "SIMULATED: " : "", "; " + end);
        for (Phase step : steps) {
            text.add(step + speed(step));
        }
        driverOnly.ifPresent(reason -> text.add("driver only"));
        for (Phase step : undone) {
            text.add("undone by " + step);
        }
        failure.ifPresent(text::add);
        return text.toString();
    }

    /** The driver tells no bytes; it moves what the shim has left. */
    private String speed(Phase step) {
        boolean copies =
                step.name().equals(Step.CHECKPOINT.toString()) || step.name().equals(Step.RESTORE.toString());
        if (!copies || deviceBytes.isEmpty()) {
            return "";
        }
        long left = deviceBytes.getAsLong();
        for (Phase other : steps) {
            left -= other.bytes().orElse(0);
        }
        return Phase.text(Phase.speed(OptionalLong.of(left), step.duration()));
    }
}
