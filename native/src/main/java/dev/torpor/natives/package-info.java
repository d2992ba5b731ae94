/** The native libraries of Torpor, as files. */
@NullMarked
package dev.torpor.natives;

import org.jspecify.annotations.NullMarked;
