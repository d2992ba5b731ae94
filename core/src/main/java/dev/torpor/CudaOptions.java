package dev.torpor;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How to open the driver. What is not set here is taken from a system property, then from an environment variable.
 * Immutable: each method returns a changed copy.
 *
 * <table>
 * <caption>Settings</caption>
 * <tr><th>method</th><th>property</th><th>variable</th><th>default</th></tr>
 * <tr><td>{@link #library}</td><td>torpor.libcuda</td><td>TORPOR_LIBCUDA</td><td>{@code libcuda.so.1}, as the loader finds it</td></tr>
 * <tr><td>{@link #nvml}</td><td>torpor.libnvml</td><td>TORPOR_LIBNVML</td><td>{@code libnvidia-ml.so.1} beside a library that was
 * named, else as the loader finds it</td></tr>
 * <tr><td>{@link #provider}</td><td>torpor.provider</td><td>TORPOR_PROVIDER</td><td>{@code ffm}, then {@code jna}</td></tr>
 * </table>
 */
public final class CudaOptions {
    static final String LIBRARY_PROPERTY = "torpor.libcuda";
    static final String LIBRARY_VARIABLE = "TORPOR_LIBCUDA";
    private static final CudaOptions DEFAULT = new CudaOptions(null, null, null, -1, false);

    private final @Nullable String library;
    private final @Nullable String nvml;
    private final @Nullable String provider;
    private final int earlyDevice;
    private final boolean early;

    private CudaOptions(
            @Nullable String library,
            @Nullable String nvml,
            @Nullable String provider,
            int earlyDevice,
            boolean early) {
        this.library = library;
        this.nvml = nvml;
        this.provider = provider;
        this.earlyDevice = earlyDevice;
        this.early = early;
    }

    /** Everything as properties and environment say, or by default. */
    public static CudaOptions defaults() {
        return DEFAULT;
    }

    /** The CUDA driver library: a path, or a name for the loader. */
    public CudaOptions library(String path) {
        return new CudaOptions(Objects.requireNonNull(path), nvml, provider, earlyDevice, early);
    }

    /** The NVML library: a path, or a name for the loader. */
    public CudaOptions nvml(String path) {
        return new CudaOptions(library, Objects.requireNonNull(path), provider, earlyDevice, early);
    }

    /** The one provider to use. */
    public CudaOptions provider(String name) {
        return new CudaOptions(library, nvml, Objects.requireNonNull(name), earlyDevice, early);
    }

    /**
     * Initialises CUDA and retains the primary context of a device on a native thread, beside the loading and linking that Java
     * has to do, where the provider can. {@link Cuda#context} then has less to wait for.
     *
     * @param device ordinal, or -1 to initialise CUDA alone
     */
    public CudaOptions initializeEarly(int device) {
        return new CudaOptions(library, nvml, provider, device, true);
    }

    @Nullable
    String library() {
        return setting(library, LIBRARY_PROPERTY, LIBRARY_VARIABLE);
    }

    @Nullable
    String nvml() {
        return setting(nvml, "torpor.libnvml", "TORPOR_LIBNVML");
    }

    @Nullable
    String provider() {
        return setting(provider, "torpor.provider", "TORPOR_PROVIDER");
    }

    boolean early() {
        return early;
    }

    int earlyDevice() {
        return earlyDevice;
    }

    private static @Nullable String setting(@Nullable String option, String property, String variable) {
        if (option != null) {
            return option;
        }
        String value = System.getProperty(property);
        if (value == null || value.isEmpty()) {
            value = System.getenv(variable);
        }
        return value == null || value.isEmpty() ? null : value;
    }
}
