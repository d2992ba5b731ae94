package dev.torpor;

/**
 * A GPU that the driver shows to this process.
 *
 * @param ordinal the driver's number for it here, from 0
 * @param uuid what identifies it everywhere
 * @param name the product name
 * @param totalBytes device memory
 * @param computeCapability 10 * major + minor
 */
public record GpuDevice(int ordinal, GpuUuid uuid, String name, long totalBytes, int computeCapability) {}
