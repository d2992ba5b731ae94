/** Programs that a benchmark starts afresh each time: as small as can be, since what they load is what is measured. */
@NullMarked
package dev.torpor.benchmarks.start;

import org.jspecify.annotations.NullMarked;
