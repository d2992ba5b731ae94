package dev.torpor.driver;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A way to call native libraries, found by {@link java.util.ServiceLoader}. A provider only calls: it neither searches for
 * libraries nor interprets results. {@link LibCuda} and {@link LibNvml} do for it what is the same for all.
 */
public interface DriverProvider {
    /** The name by which it is chosen and reported, for example {@code ffm}. */
    String name();

    /** Among several, the highest is tried first. */
    int priority();

    /**
     * Loads a library, which stays loaded.
     *
     * @param library a file name for the loader to search, or an absolute path
     * @throws UnsatisfiedLinkError if it cannot be loaded; the message is the loader's own
     * @throws IllegalStateException if this provider can load nothing in this Java; the message says why and what to do
     */
    LoadedLibrary open(String library);

    /**
     * Loads the CUDA driver.
     *
     * @param library a file name for the loader to search, or an absolute path
     * @throws UnsatisfiedLinkError if it cannot be loaded; the message is the loader's own
     * @throws IllegalStateException if this provider can load nothing in this Java; the message says why and what to do
     */
    default CudaDriver openCuda(String library) {
        return new LibCuda(open(library));
    }

    /**
     * Loads NVML.
     *
     * @param library a file name for the loader to search, or an absolute path
     * @throws UnsatisfiedLinkError if it cannot be loaded; the message is the loader's own
     * @throws IllegalStateException if this provider can load nothing in this Java; the message says why and what to do
     */
    default Nvml openNvml(String library) {
        return new LibNvml(open(library));
    }

    /**
     * Starts to initialise the driver on a native thread, beside whatever Java still has to load and link.
     *
     * @param library as for {@link #openCuda}
     * @param device ordinal of the device whose primary context is retained too, or -1 for {@code cuInit} alone
     * @param environment variables to set for C code before, as {@link NativeEnvironment} does
     * @return null where this provider cannot; the caller then makes the calls itself
     */
    default @Nullable EarlyInitialization initializeEarly(String library, int device, Map<String, String> environment) {
        return null;
    }
}
