package dev.torpor;

import dev.torpor.mps.Mps;
import java.util.Map;
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
    private static final CudaOptions DEFAULT = new CudaOptions(null, null, null, -1, false, false);

    private final @Nullable String library;
    private final @Nullable String nvml;
    private final @Nullable String provider;
    private final int earlyDevice;
    private final boolean early;
    private final boolean mpsClient;

    private CudaOptions(
            @Nullable String library,
            @Nullable String nvml,
            @Nullable String provider,
            int earlyDevice,
            boolean early,
            boolean mpsClient) {
        this.library = library;
        this.nvml = nvml;
        this.provider = provider;
        this.earlyDevice = earlyDevice;
        this.early = early;
        this.mpsClient = mpsClient;
    }

    /** Everything as properties and environment say, or by default. */
    public static CudaOptions defaults() {
        return DEFAULT;
    }

    /** The CUDA driver library: a path, or a name for the loader. */
    public CudaOptions library(String path) {
        return new CudaOptions(Objects.requireNonNull(path), nvml, provider, earlyDevice, early, mpsClient);
    }

    /** The NVML library: a path, or a name for the loader. */
    public CudaOptions nvml(String path) {
        return new CudaOptions(library, Objects.requireNonNull(path), provider, earlyDevice, early, mpsClient);
    }

    /** The one provider to use. */
    public CudaOptions provider(String name) {
        return new CudaOptions(library, nvml, Objects.requireNonNull(name), earlyDevice, early, mpsClient);
    }

    /**
     * Initialises CUDA and retains the primary context of a device on a native thread, beside the loading and linking that Java
     * has to do, where the provider can. {@link Cuda#context} then has less to wait for.
     *
     * @param device ordinal, or -1 to initialise CUDA alone
     */
    public CudaOptions initializeEarly(int device) {
        return new CudaOptions(library, nvml, provider, device, true, mpsClient);
    }

    /**
     * Whether CUDA in this process may be a client of a Multi-Process Service, if there is a daemon. Default: not, since what
     * controls other processes should not depend on a daemon, and a client cannot be suspended itself: before CUDA is initialised,
     * {@code CUDA_MPS_PIPE_DIRECTORY} is then set to {@code /dev/null} in the environment of this process's C code, and stays so. A
     * program that this process starts later inherits that, unless its {@link ProcessBuilder#environment} was asked for: one that
     * is to be a client gets {@link Mps#clientEnvironment} there. CUDA that was initialised before stays what it is.
     */
    public CudaOptions mpsClient(boolean allowed) {
        return new CudaOptions(library, nvml, provider, earlyDevice, early, allowed);
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

    /** What C code is to find in its environment when CUDA is initialised. */
    Map<String, String> environment() {
        return mpsClient ? Map.of() : Mps.noClientEnvironment();
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
