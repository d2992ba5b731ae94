/** What Torpor costs, next to C and to the peer that binds the same calls, in the same run. */
@NullMarked
package dev.torpor.benchmarks;

import org.jspecify.annotations.NullMarked;
