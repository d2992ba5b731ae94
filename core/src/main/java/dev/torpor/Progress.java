package dev.torpor;

import java.time.Duration;
import java.util.OptionalLong;

/**
 * How far a transition is.
 *
 * @param step the step that runs
 * @param elapsed since the step began
 * @param bytesMoved what the resident memory of the process has grown by since a {@link Step#CHECKPOINT} began, at most
 *     {@code bytesTotal}; empty for steps in which nothing can be seen, a {@link Step#RESTORE} among them
 * @param bytesTotal device memory of the process when the transition began; empty if NVML did not tell
 */
public record Progress(Step step, Duration elapsed, OptionalLong bytesMoved, OptionalLong bytesTotal) {}
