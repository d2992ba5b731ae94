/** The binding for Java 17 and later. */
@NullMarked
package dev.torpor.jna;

import org.jspecify.annotations.NullMarked;
