/** That the benchmarks run, not what they find. */
@NullMarked
package dev.torpor.benchmarks;

import org.jspecify.annotations.NullMarked;
