package dev.torpor;

/**
 * What a shim tells about its process ({@code status} in {@code docs/parking.md}).
 *
 * @param version of the shim
 * @param pid as the process itself sees it, which in a container is another than on the host
 * @param state {@link ProcessState#RUNNING}, {@link ProcessState#PARKING}, {@link ProcessState#PARKED} or
 *     {@link ProcessState#UNPARKING}; what the driver has done to the process is not in it
 * @param parkableBytes device memory that could be parked now
 * @param parkedBytes device memory whose contents are on the host now
 * @param leftBytes device memory of the application that must be left to the driver
 * @param arenaBytes anonymous host memory that is ready for a park, or in use by it
 * @param imports pieces of device memory of other processes that the process holds (CUDA IPC, shareable handles, pools); 0 from a shim that
 *     does not count them
 * @param multicasts multicast objects that it holds; 0 from a shim that does not count them
 */
public record ShimStatus(
        String version,
        long pid,
        ProcessState state,
        long parkableBytes,
        long parkedBytes,
        long leftBytes,
        long arenaBytes,
        long imports,
        long multicasts) {}
