/**
 * The raw driver: one method per C function, named, ordered and shaped like it, the result code returned as it came.
 * What a result means, and what to do about it, is decided in {@link dev.torpor}.
 */
@NullMarked
package dev.torpor.driver;

import org.jspecify.annotations.NullMarked;
