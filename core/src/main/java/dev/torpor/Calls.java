package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;

/** Turns a {@code CUresult} into words, and a failure into an exception. */
final class Calls {
    private Calls() {}

    /** @throws TorporException if the call failed */
    static void check(CudaDriver driver, int result, String call) {
        if (result != CudaResult.SUCCESS) {
            throw failed(driver, result, call);
        }
    }

    static TorporException failed(CudaDriver driver, int result, String call) {
        return new TorporException(problem(result), result, call + " failed: " + words(driver, result) + ".", null);
    }

    private static Problem problem(int result) {
        return switch (result) {
            case CudaResult.NO_DEVICE, CudaResult.INVALID_DEVICE -> Problem.NO_SUCH_DEVICE;
            case CudaResult.OUT_OF_MEMORY -> Problem.DEVICE_MEMORY;
            default -> Problem.DRIVER;
        };
    }

    /** Like {@code CUDA_ERROR_NOT_READY (600), device not ready}. */
    static String words(CudaDriver driver, int result) {
        String[] name = new String[1];
        String[] description = new String[1];
        boolean known = driver.cuGetErrorName(result, name) == CudaResult.SUCCESS;
        boolean described = driver.cuGetErrorString(result, description) == CudaResult.SUCCESS;
        return (known ? name[0] + " (" + result + ")" : "CUresult " + result)
                + (described ? ", " + description[0] : "");
    }
}
