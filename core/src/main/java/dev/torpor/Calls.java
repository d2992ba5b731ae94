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

    /** As {@link #check}, for {@code cuInit}, whose failures say what is wrong with the host. */
    static void checkInit(CudaDriver driver, int result) {
        if (result != CudaResult.SUCCESS) {
            throw new TorporException(
                    problem(result), result, "cuInit failed: " + words(driver, result) + ". " + remedy(result), null);
        }
    }

    private static String remedy(int result) {
        return switch (result) {
            case CudaResult.NO_DEVICE -> "Check nvidia-smi and the variable CUDA_VISIBLE_DEVICES.";
            case CudaResult.SYSTEM_DRIVER_MISMATCH ->
                "The driver library and the loaded kernel module are of different releases: restart the host, or use the library"
                        + " of the module's release.";
            case CudaResult.COMPAT_NOT_SUPPORTED_ON_DEVICE ->
                "The library is a forward compatibility package that does not support this GPU: use the library that the NVIDIA"
                        + " driver has installed.";
            default ->
                "Check with nvidia-smi that the kernel module is loaded and that this user may open /dev/nvidia*.";
        };
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
