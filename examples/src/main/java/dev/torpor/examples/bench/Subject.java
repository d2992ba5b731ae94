package dev.torpor.examples.bench;

import java.nio.file.Path;
import java.util.Optional;

/** Something that runs, and that is to be suspended and woken. */
interface Subject extends AutoCloseable {
    /** Like {@code process 4711}. */
    @Override
    String toString();

    /** The process id, of the root if it is several; or the name of the container. */
    String id();

    /**
     * Has it show that it is what it was.
     *
     * @return false if there is nothing to check it with
     * @throws dev.torpor.TorporException if it is not
     */
    boolean check();

    /** Where device memory that is parked is to be kept apart: a folder that is mounted in the container. */
    default Optional<Path> store() {
        return Optional.empty();
    }

    /** Ends it, whatever its state; more than once does no harm. */
    @Override
    void close();
}
