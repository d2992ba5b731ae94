package dev.torpor;

import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Waits that an interrupt does not cut short, since neither the driver nor the shim stops for it. The interrupt is kept for later. */
final class Uninterrupted {
    private Uninterrupted() {}

    static void sleep(Duration time) {
        long deadline = System.nanoTime() + time.toNanos();
        boolean interrupted = false;
        for (long left = time.toNanos(); left > 0; left = deadline - System.nanoTime()) {
            try {
                TimeUnit.NANOSECONDS.sleep(left);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
