package dev.torpor.benchmarks;

import dev.torpor.Cuda;
import dev.torpor.GpuDevice;
import dev.torpor.TorporException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;

/**
 * What the figures were measured on.
 *
 * @param library the driver's, as every program of the run loads it
 */
record Machine(
        boolean simulated,
        String gpu,
        int gpus,
        String driver,
        String cuda,
        String library,
        int cpus,
        String kernel,
        String jvm,
        String time) {
    /** Prints it; a program of its own, because whoever asks the driver initialises the GPU for as long as it lives. */
    public static void main(String[] args) {
        try (Cuda cuda = Cuda.open()) {
            System.out.println(Results.GSON.toJson(describe(cuda)));
        } catch (TorporException e) {
            System.err.println(e.getMessage());
            System.exit(3);
        }
    }

    private static Machine describe(Cuda cuda) {
        List<GpuDevice> devices = cuda.devices();
        int version = cuda.driverVersion();
        return new Machine(
                cuda.simulated(),
                devices.get(0).name(),
                devices.size(),
                cuda.simulated() ? "simulator" : kernelModule(),
                version / 1000 + "." + version % 1000 / 10,
                cuda.library(),
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("os.version"),
                System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version"),
                Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    }

    /** The version in the second field of the first line, between two spaces. */
    private static String kernelModule() {
        try {
            for (String word :
                    Files.readString(Path.of("/proc/driver/nvidia/version")).split("\\s+", -1)) {
                if (word.matches("\\d+\\.\\d+(\\.\\d+)?")) {
                    return word;
                }
            }
        } catch (IOException e) {
            return "unknown";
        }
        return "unknown";
    }

    @Override
    public String toString() {
        return (simulated ? "**SIMULATED** – these figures say nothing about a GPU. " : "") + gpus + " × " + gpu
                + ", driver " + driver + " (CUDA " + cuda + "), " + cpus + " CPUs, Linux " + kernel + ", " + jvm + ", "
                + time;
    }
}
