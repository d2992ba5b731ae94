/**
 * Containers of podman with GPU processes in them, into a checkpoint and back: {@link dev.torpor.podman.Podman} is where it begins.
 */
@NullMarked
package dev.torpor.podman;

import org.jspecify.annotations.NullMarked;
