/**
 * NVIDIA's Multi-Process Service (MPS): its control daemon, who its clients are, and how a process becomes one or stays none. All
 * that Torpor knows of MPS is here.
 */
@NullMarked
package dev.torpor.mps;

import org.jspecify.annotations.NullMarked;
