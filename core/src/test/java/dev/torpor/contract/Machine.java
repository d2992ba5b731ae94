package dev.torpor.contract;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.Nvml;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;

/**
 * The machine that the tests run on, by the system property {@code torpor.test.machine}: {@code simulator}, whose state is in
 * the directory that the variable TORPOR_SIM_DIR names, or {@code gpu}.
 */
public final class Machine {
    private static final boolean SIMULATED =
            System.getProperty("torpor.test.machine", "simulator").equals("simulator");
    private static final Path NATIVE = Path.of(System.getProperty("torpor.test.native", "../native/target"));

    static {
        if (SIMULATED) {
            createStateDirectory();
        }
    }

    private Machine() {}

    private static void createStateDirectory() {
        String directory = System.getenv("TORPOR_SIM_DIR");
        if (directory == null) {
            throw new IllegalStateException("TORPOR_SIM_DIR is not set: the build sets it for tests");
        }
        try {
            Files.createDirectories(Path.of(directory));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static boolean simulated() {
        return SIMULATED;
    }

    /** A file that the native build has made, such as {@code programs/torpor-target}. */
    public static Path built(String file) {
        Path path = NATIVE.resolve(file).toAbsolutePath().normalize();
        if (!Files.exists(path)) {
            throw new IllegalStateException(path + " is missing: build the module native first");
        }
        return path;
    }

    /** The driver: the simulator's, or the one that the variable TORPOR_LIBCUDA names, or the one the loader finds. */
    public static String libcuda() {
        return SIMULATED
                ? built("simulator/libcuda.so.1").toString()
                : System.getenv().getOrDefault("TORPOR_LIBCUDA", "libcuda.so.1");
    }

    /** NVML from beside the driver, if that is a path. */
    public static String libnvml() {
        String cuda = libcuda();
        return cuda.substring(0, cuda.lastIndexOf('/') + 1) + "libnvidia-ml.so.1";
    }

    /** What a child process needs in its environment to meet the same driver. */
    public static Map<String, String> environment() {
        Map<String, String> environment = new HashMap<>();
        environment.put("TORPOR_LIBCUDA", libcuda());
        if (SIMULATED) {
            environment.put("TORPOR_SIM_DIR", System.getenv("TORPOR_SIM_DIR"));
        }
        return environment;
    }

    /** The driver, initialised. The test is skipped if it was meant for a GPU and the machine has no driver. */
    public static CudaDriver cuda(DriverProvider provider) {
        try {
            CudaDriver driver = provider.openCuda(libcuda());
            int result = driver.cuInit(0);
            if (result != 0) {
                throw new IllegalStateException("cuInit failed with " + result);
            }
            return driver;
        } catch (UnsatisfiedLinkError e) {
            return skipUnlessSimulated(e);
        }
    }

    public static Nvml nvml(DriverProvider provider) {
        try {
            return provider.openNvml(libnvml());
        } catch (UnsatisfiedLinkError e) {
            return skipUnlessSimulated(e);
        }
    }

    private static <T> T skipUnlessSimulated(UnsatisfiedLinkError e) {
        if (SIMULATED) {
            throw e;
        }
        return Assumptions.abort("this machine has no NVIDIA driver: " + e.getMessage());
    }

    /** Skips a test on a real GPU. */
    public static void assumeSimulator(String reason) {
        assumeTrue(SIMULATED, "needs the simulator: " + reason);
    }

    /** Skips a test on the simulator. */
    public static void assumeGpu(String reason) {
        assumeTrue(!SIMULATED, "needs a real GPU: " + reason);
    }
}
