/**
 * What a binding must keep to, on the simulator and on a real GPU, and what such tests stand on: the machine, a target, faults.
 * A binding runs a contract by a subclass that names its provider.
 */
@NullMarked
package dev.torpor.contract;

import org.jspecify.annotations.NullMarked;
