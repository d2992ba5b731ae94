package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;

/**
 * What the driver's answer to a step means for the process, and what to do about it.
 *
 * @param sentence what was called on whom, the answer, what it means, what to do; without the state of the process
 */
record Failure(Problem problem, String sentence) {
    static final String OTHER_CONTROLLER =
            "Another controller is at work on the process: ask for the state, and go on from there.";

    private static final String MANAGED =
            "The driver cannot checkpoint what this process uses, most likely managed memory"
                    + " (cuMemAllocManaged, UVM), for which it answers 801 at first and 999 at each later try: start it without managed memory,"
                    + " or park it (level PARK), which works.";

    /** As seen on an H200: 1 for legacy CUDA IPC, 801 for handles, the state stays. */
    private static final String LOST =
            "So the driver answers where the process had device memory of another process open (CUDA IPC) when it"
                    + " was checkpointed, for ever: end the process and start it again.";

    Failure and(String more) {
        return new Failure(problem, sentence + " " + more);
    }

    TorporException exception() {
        return new TorporException(problem, sentence);
    }

    /** A step threw what is no answer of the driver or the shim. */
    static Failure inJava(long pid, Step step, Throwable thrown) {
        boolean wrapped = thrown instanceof IllegalStateException && thrown.getCause() != null;
        return new Failure(
                thrown instanceof TorporException known
                        ? known.problem()
                        : step.byShim() ? Problem.SHIM : Problem.DRIVER,
                step.function() + "(pid " + pid + ") failed in this program: " + (wrapped ? thrown.getCause() : thrown)
                        + ".");
    }

    static Failure of(CudaDriver driver, Preflight preflight, Plan plan, Step step, int result) {
        String call = step.function() + "(pid " + preflight.pid() + ") failed: " + Calls.words(driver, result) + ". ";
        if (preflight.hasEnded(result)) {
            return new Failure(Problem.NO_SUCH_PROCESS, call + "The process has ended.");
        }
        return switch (step) {
            case LOCK -> lock(preflight, plan, result, call);
            case CHECKPOINT -> checkpoint(result, call);
            case RESTORE -> restore(plan, result, call);
            case UNLOCK -> other(result, call, "Resume it again.");
            case PARK, UNPARK -> throw new AssertionError(step);
        };
    }

    private static Failure lock(Preflight preflight, Plan plan, int result, String call) {
        return switch (result) {
            case CudaResult.NOT_READY ->
                new Failure(
                        Problem.LOCK_TIMEOUT,
                        call + "Its work on the GPU did not pause within "
                                + Phase.text(plan.down().lockTimeout())
                                + ": try again when it is idle, or allow a longer lock timeout.");
            case CudaResult.NOT_SUPPORTED ->
                preflight.looksLikeMpsClient()
                        ? new Failure(Problem.MPS_CLIENT, call + preflight.mpsSentence())
                        : new Failure(Problem.NOT_SUPPORTED, call + unlockable(preflight));
            default -> other(result, call, "Try again.");
        };
    }

    private static Failure checkpoint(int result, String call) {
        return switch (result) {
            case CudaResult.OUT_OF_MEMORY ->
                new Failure(
                        Problem.HOST_MEMORY,
                        call + "The driver found no host memory for the contents of its device memory: free some.");
            case CudaResult.NOT_SUPPORTED -> new Failure(Problem.NOT_SUPPORTED, call + MANAGED);
            case CudaResult.UNKNOWN -> new Failure(Problem.DRIVER, call + MANAGED);
            default -> other(result, call, "Try again.");
        };
    }

    private static Failure restore(Plan plan, int result, String call) {
        return switch (result) {
            case CudaResult.OUT_OF_MEMORY ->
                new Failure(
                        Problem.RESTORE_FAILED,
                        call
                                + "The GPU ran out of memory during the restore, and the driver accepts no other restore of this process:"
                                + " end it and start it again.");
            case CudaResult.OPERATING_SYSTEM ->
                new Failure(
                        Problem.RESTORE_FAILED,
                        call
                                + "So the driver answers after a restore that ran out of memory, and where the process has imported a memory"
                                + " pool of another process, for ever: end the process and start it again.");
            case CudaResult.INVALID_VALUE ->
                plan.up().deviceMap().isSame()
                        ? new Failure(Problem.RESTORE_FAILED, call + LOST)
                        : new Failure(
                                Problem.DEVICE_MAP,
                                call + "The driver refuses this device map ("
                                        + plan.up().deviceMap()
                                        + "): map GPUs of the same model only, or resume without a map.");
            case CudaResult.NOT_SUPPORTED -> new Failure(Problem.RESTORE_FAILED, call + LOST);
            default ->
                new Failure(
                        result == CudaResult.ILLEGAL_STATE ? Problem.WRONG_STATE : Problem.RESTORE_FAILED,
                        call + (result == CudaResult.ILLEGAL_STATE ? OTHER_CONTROLLER : "Try again."));
        };
    }

    /** After an answer of 801 to Lock. */
    private static String unlockable(Preflight preflight) {
        long tracer = preflight.proc().tracer(preflight.pid());
        String traced = tracer > 0 ? " Process " + tracer + " traces it." : "";
        return "The driver cannot suspend a process that a profiler (CUPTI) or a debugger (cuda-gdb) is attached to, or has been."
                + traced
                + " MPS, managed memory and memory of other processes are further causes: start the process without them, or park"
                + " it (level PARK), which works.";
    }

    private static Failure other(int result, String call, String advice) {
        return result == CudaResult.ILLEGAL_STATE
                ? new Failure(Problem.WRONG_STATE, call + OTHER_CONTROLLER)
                : new Failure(Problem.DRIVER, call + advice);
    }
}
