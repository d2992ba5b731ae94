package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.Nvml;
import java.io.File;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;

/** Finds a provider and a library that work together, or collects the reasons why none does. */
final class Drivers {
    private static final String NVML = "libnvidia-ml.so.1";
    private static final String[] LIBRARIES = {
        "libcuda.so.1",
        "/usr/local/nvidia/lib64/libcuda.so.1",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "/usr/lib64/libcuda.so.1"
    };

    record Opened(
            DriverProvider provider,
            String library,
            CudaDriver driver,
            @Nullable EarlyInitialization early,
            long loadNanos) {}

    private final CudaOptions options;
    private final OpenFailures failures = new OpenFailures();

    private Drivers(CudaOptions options) {
        this.options = options;
    }

    static Opened open(CudaOptions options) {
        return new Drivers(options).open();
    }

    private Opened open() {
        String wanted = options.provider();
        String library = options.library();
        List<DriverProvider> providers = providers();
        for (DriverProvider provider : providers) {
            if (wanted == null || wanted.equals(provider.name())) {
                for (String candidate : library == null ? LIBRARIES : new String[] {library}) {
                    Opened opened = open(provider, candidate, library != null);
                    if (opened != null) {
                        return opened;
                    }
                }
            }
        }
        throw new TorporException(Problem.NO_DRIVER, explain(wanted, providers));
    }

    private @Nullable Opened open(DriverProvider provider, String library, boolean named) {
        boolean path = library.indexOf('/') >= 0;
        if (path && !new File(library).isFile()) {
            if (named) {
                failures.noFile(library);
            }
            return null;
        }
        long begin = System.nanoTime();
        try {
            EarlyInitialization early = options.early()
                    ? provider.initializeEarly(library, options.earlyDevice(), options.environment())
                    : null;
            CudaDriver driver = provider.openCuda(library);
            return new Opened(provider, library, driver, early, System.nanoTime() - begin);
        } catch (LinkageError | IllegalStateException e) {
            failures.failed(provider.name(), library, e);
            return null;
        }
    }

    private String explain(@Nullable String wanted, List<DriverProvider> providers) {
        if (wanted != null && failures.isEmpty() && !providers.isEmpty()) {
            return "There is no binding '" + wanted + "': there are " + names(providers)
                    + "; correct the option, or the variable TORPOR_PROVIDER.";
        }
        return failures.isEmpty()
                ? "The CUDA driver cannot be opened, because there is no binding: add torpor-ffm (Java 22 or later) or"
                        + " torpor-jna to the class path or module path."
                : failures.explain();
    }

    private static String names(List<DriverProvider> providers) {
        StringBuilder names = new StringBuilder();
        for (DriverProvider provider : providers) {
            names.append(names.isEmpty() ? "" : ", ").append(provider.name());
        }
        return names.toString();
    }

    /** Those that this Java can load, by falling priority. */
    private List<DriverProvider> providers() {
        List<DriverProvider> found = load(DriverProvider.class.getClassLoader(), failures);
        return found.isEmpty() ? load(Thread.currentThread().getContextClassLoader(), failures) : found;
    }

    /** A provider built for a newer Java fails to load, and the next may still do. */
    static List<DriverProvider> load(@Nullable ClassLoader loader, OpenFailures failures) {
        List<DriverProvider> found = new ArrayList<>();
        Iterator<DriverProvider> providers =
                ServiceLoader.load(DriverProvider.class, loader).iterator();
        while (true) {
            try {
                if (!providers.hasNext()) {
                    break;
                }
                insert(providers.next(), found);
            } catch (ServiceConfigurationError | LinkageError e) {
                failures.unusable(e);
            }
        }
        return found;
    }

    /** Without a comparator: the first lambda of a JVM costs milliseconds, and this runs at its start. */
    private static void insert(DriverProvider provider, List<DriverProvider> sorted) {
        int at = 0;
        while (at < sorted.size() && sorted.get(at).priority() >= provider.priority()) {
            at++;
        }
        sorted.add(at, provider);
    }

    /** NVML is optional: null where it cannot be loaded. */
    static @Nullable Nvml openNvml(DriverProvider provider, String library, CudaOptions options) {
        String named = options.nvml();
        int slash = library.lastIndexOf('/');
        String beside = slash >= 0 && options.library() != null ? library.substring(0, slash + 1) + NVML : NVML;
        try {
            return provider.openNvml(named == null ? beside : named);
        } catch (LinkageError | IllegalStateException e) {
            System.getLogger("dev.torpor").log(System.Logger.Level.DEBUG, "NVML is left out: {0}", e.getMessage());
            return null;
        }
    }
}
