package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A command that tells whether what was woken answers rightly, by its exit status.
 *
 * @param command for {@code sh}; null for none
 * @param limit how long it may take
 */
public record Check(@Nullable String command, Duration limit) {
    /** In its environment: the process id, or the name of the container. */
    public static final String VARIABLE = "TORPOR_BENCH_ID";

    /** @return false if there is no command */
    boolean isRight(String id) {
        if (command == null) {
            return false;
        }
        Command.Ended ended = Command.of(List.of("sh", "-c", command))
                .environment(Map.of(VARIABLE, id))
                .run(limit);
        if (!ended.good()) {
            throw new TorporException(
                    Problem.TOOL,
                    "The check '" + command + "' failed after the wake-up of " + id
                            + (ended.inTime()
                                    ? " with status " + ended.status()
                                    : ", as it took longer than " + limit.toSeconds() + " s")
                            + ": " + ended.lastWords());
        }
        return true;
    }
}
