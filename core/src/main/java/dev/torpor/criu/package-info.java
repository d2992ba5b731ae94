/**
 * CRIU, which writes a process tree into image files and makes it anew from them: {@link dev.torpor.criu.Criu} is where it begins. It knows
 * nothing of CUDA; a GPU process must be checkpointed by the driver before it is dumped.
 */
@NullMarked
package dev.torpor.criu;

import org.jspecify.annotations.NullMarked;
