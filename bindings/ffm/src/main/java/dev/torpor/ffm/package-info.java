/** The binding for Java 22 and later. */
@NullMarked
package dev.torpor.ffm;

import org.jspecify.annotations.NullMarked;
