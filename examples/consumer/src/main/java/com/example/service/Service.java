package com.example.service;

import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Report;
import dev.torpor.Suspend;
import java.time.Duration;

/** Suspends a process and resumes it. */
public final class Service {
    private Service() {}

    /** Takes a pid. */
    public static void main(String[] args) {
        try (Cuda cuda = Cuda.open()) {
            GpuProcess server = cuda.process(Long.parseLong(args[0]));
            Report down = server.suspend(Suspend.to(Level.CHECKPOINT).lockTimeout(Duration.ofSeconds(10)));
            System.out.println(server.state() + " through " + cuda.provider() + ": " + down);
            Report up = server.resume();
            System.out.println(server.state() + ": " + up);
        }
    }
}
