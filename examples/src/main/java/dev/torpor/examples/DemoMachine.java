package dev.torpor.examples;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuDevice;
import dev.torpor.TorporException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the demo runs on: the GPU, or the simulator where there is none.
 *
 * @param cuda the driver
 * @param device where the target will be
 * @param reason why it is the simulator; empty for a GPU
 * @param environment lets a child process meet the same driver
 */
record DemoMachine(Cuda cuda, GpuDevice device, String reason, Map<String, String> environment)
        implements AutoCloseable {
    private static final String LIBRARY_VARIABLE = "TORPOR_LIBCUDA";

    /** What the user wants. */
    enum Wanted {
        auto,
        gpu,
        simulator
    }

    /**
     * @return empty if it is the simulator, and this JVM was not given a directory for it
     * @throws TorporException if it must be a GPU and there is none
     */
    static Optional<DemoMachine> choose(Wanted wanted, Path natives) {
        if (wanted == Wanted.simulator) {
            return simulator(natives, "It was asked for.");
        }
        try {
            return Optional.of(real());
        } catch (TorporException e) {
            if (wanted == Wanted.gpu) {
                throw e;
            }
            return simulator(natives, "No GPU here. " + e.getMessage());
        }
    }

    private static DemoMachine real() {
        Cuda cuda = Cuda.open();
        try {
            GpuDevice device = first(cuda);
            String reason = cuda.simulated() ? cuda.library() + " was given as the driver." : "";
            return new DemoMachine(cuda, device, reason, Map.of(LIBRARY_VARIABLE, cuda.library()));
        } catch (TorporException e) {
            cuda.close();
            throw e;
        }
    }

    private static Optional<DemoMachine> simulator(Path natives, String reason) {
        if (System.getenv(SimulatorDirectory.VARIABLE) == null) {
            return Optional.empty();
        }
        Path library =
                natives.resolve("simulator/libcuda.so.1").toAbsolutePath().normalize();
        if (!Files.exists(library)) {
            throw new IllegalStateException(
                    "There is no simulator " + library + ": build the module native, or name its output with --native");
        }
        Cuda cuda = Cuda.open(CudaOptions.defaults().library(library.toString()));
        return Optional.of(new DemoMachine(cuda, first(cuda), reason, Map.of(LIBRARY_VARIABLE, library.toString())));
    }

    private static GpuDevice first(Cuda cuda) {
        List<GpuDevice> devices = cuda.devices();
        return devices.get(0);
    }

    boolean simulated() {
        return !reason.isEmpty();
    }

    @Override
    public void close() {
        cuda.close();
    }
}
