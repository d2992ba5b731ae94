/**
 * Snapshots: processes on disk, and back. The driver and the shim take them off the GPU ({@link dev.torpor.GpuGroup}), CRIU writes them
 * into images ({@link dev.torpor.criu.Criu}), and a manifest says what a host needs to have them back.
 */
@NullMarked
package dev.torpor.snapshot;

import org.jspecify.annotations.NullMarked;
