/** {@code torpor bench}: how fast a process wakes up on this host, in several ways by turns, with a verdict on each difference. */
@NullMarked
package dev.torpor.examples.bench;

import org.jspecify.annotations.NullMarked;
