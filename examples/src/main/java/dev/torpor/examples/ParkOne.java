package dev.torpor.examples;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Suspend;
import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** Lends a process's GPU to a command: {@code ParkOne PID COMMAND…} suspends it, runs the command, and resumes it. */
public final class ParkOne {
    private ParkOne() {}

    /** The whole of it. */
    public static void main(String[] args) throws IOException, InterruptedException {
        List<String> command = List.of(args).subList(1, args.length);
        try (Cuda cuda = Cuda.open()) {
            GpuProcess server = cuda.process(Long.parseLong(args[0]));
            System.out.println(server.suspend(Suspend.to(Level.CHECKPOINT).lockTimeout(Duration.ofSeconds(10))));
            try {
                new ProcessBuilder(command).inheritIO().start().waitFor(); // the GPU is free
            } finally {
                System.out.println(server.resume());
            }
        }
    }
}
