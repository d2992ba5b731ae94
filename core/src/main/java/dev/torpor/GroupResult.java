package dev.torpor;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The result of a group's transition for one of its processes: a report or a failure.
 *
 * @param process of the group
 * @param report empty if the process could not begin, or its transition failed or was undone
 * @param failure says why, and in which state the process is now; empty if there is a report
 */
public record GroupResult(GpuProcess process, Optional<Report> report, Optional<TorporException> failure) {
    static GroupResult of(GpuProcess process, @Nullable Report report, @Nullable TorporException failure) {
        return new GroupResult(process, Optional.ofNullable(report), Optional.ofNullable(failure));
    }
}
