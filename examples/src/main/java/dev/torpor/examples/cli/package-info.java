/** The command line {@code torpor}: a command to a file, and options that several have in common as mixins. */
@NullMarked
package dev.torpor.examples.cli;

import org.jspecify.annotations.NullMarked;
