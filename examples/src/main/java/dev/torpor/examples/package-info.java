/** Programs that show what the library does. */
@NullMarked
package dev.torpor.examples;

import org.jspecify.annotations.NullMarked;
