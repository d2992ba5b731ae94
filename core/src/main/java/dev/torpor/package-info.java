/**
 * Suspends GPU processes and resumes them. {@link dev.torpor.Cuda#open()} is where it begins.
 */
@NullMarked
package dev.torpor;

import org.jspecify.annotations.NullMarked;
