package dev.torpor.examples.bench;

import dev.torpor.ShimOptions;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;

/** How a {@link Subject} is made. */
public interface Workload {
    /** Like {@code torpor-target with 8.7 GiB}. */
    @Override
    String toString();

    /**
     * Starts one, and waits until it is ready.
     *
     * @param shim the settings of the shim that it carries; empty for none
     * @param folder an empty one, for as long as it is there
     * @param begun told as soon as there is something that would have to be ended
     * @throws dev.torpor.TorporException if it does not start or does not get ready; nothing of it is left then
     */
    Subject start(Optional<ShimOptions> shim, Path folder, Consumer<Subject> begun);
}
