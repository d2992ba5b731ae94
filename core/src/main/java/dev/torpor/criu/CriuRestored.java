package dev.torpor.criu;

/**
 * What a restore has made.
 *
 * @param pid of the root of the tree, as its own pid namespace has it
 * @param statistics what CRIU counted
 */
public record CriuRestored(long pid, CriuStatistics.Restore statistics) {}
