@NullMarked
package dev.torpor.natives;

import org.jspecify.annotations.NullMarked;
