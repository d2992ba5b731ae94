/** How programs around the driver are run. Not exported: what users see is the components that run them. */
@NullMarked
package dev.torpor.tools;

import org.jspecify.annotations.NullMarked;
