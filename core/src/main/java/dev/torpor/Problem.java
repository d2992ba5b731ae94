package dev.torpor;

/** What kind of failure a {@link TorporException} tells of; {@code docs/errors.md} has an entry for each. */
public enum Problem {
    /** No provider could load the CUDA driver. */
    NO_DRIVER,
    /** The driver lacks a function that the call needs. */
    DRIVER_TOO_OLD,
    /** No such GPU on this host. */
    NO_SUCH_DEVICE,
    /** No process has this pid, or it has ended. */
    NO_SUCH_PROCESS,
    /** The pid belongs to another process now than when the handle was made. */
    PROCESS_REPLACED,
    /** The process has not initialised CUDA. */
    NOT_A_CUDA_PROCESS,
    /** The process belongs to another user. */
    NO_PERMISSION,
    /** The call is not legal in the state of the process. */
    WRONG_STATE,
    /** The process is a client of the Multi-Process Service, which cannot be checkpointed. */
    MPS_CLIENT,
    /** The driver cannot checkpoint this process, or the shim cannot park it; it says why. */
    NOT_SUPPORTED,
    /** The contents of the device memory would not fit the host's memory. */
    HOST_MEMORY,
    /** The device memory of the process would not fit what is free on the GPU. */
    DEVICE_MEMORY,
    /** A device map that names the same GPU twice, or an unknown one. */
    DEVICE_MAP,
    /** The work on the GPU did not pause within the timeout. */
    LOCK_TIMEOUT,
    /** The driver, or the shim in the process, did not return within the time that the caller allowed. */
    UNRESPONSIVE,
    /** The driver refused to restore the process. */
    RESTORE_FAILED,
    /** The resource, or the {@link Cuda} it came from, has been closed. */
    CLOSED,
    /** The shim cannot be put into a file or loaded, a file is not the shim, or a process that is to be parked carries none. */
    NO_SHIM,
    /** The shim in a process gave an answer that makes no sense, or ended the conversation. */
    SHIM,
    /** The files that a process is to be parked into cannot be made, or there is no room for them; or those to unpark from are not found. */
    ARENA,
    /** A program that the call runs (CRIU, podman, nvidia-cuda-mps-control) is not here, or too old. */
    TOOL_MISSING,
    /** A program that the call has run failed; the message has its words. */
    TOOL,
    /** A snapshot is unfinished, damaged, of another version, or does not fit this host; or its folder cannot be written. */
    SNAPSHOT,
    /** The caller asked for the end of the transition, by a {@link Cancellation}. */
    CANCELLED,
    /** A call of the driver failed for another reason, which the message has in the driver's words. */
    DRIVER
}
