package dev.torpor;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntSupplier;

/** Calls into the driver, which nothing can interrupt, with a limit to how long the caller waits. */
final class Bounded {
    private Bounded() {}

    /** The driver did not return in time; its call goes on in a daemon thread. */
    static final class Overdue extends Exception {
        private static final long serialVersionUID = 1;

        Overdue() {
            super(null, null, false, false);
        }
    }

    /**
     * @param limit empty to call on this thread and wait for ever
     * @return what the call returned
     */
    static int call(String name, Optional<Duration> limit, IntSupplier call) throws Overdue {
        return limit.isEmpty() ? call.getAsInt() : await(start(name, call), limit.get());
    }

    private static CompletableFuture<Integer> start(String name, IntSupplier call) {
        CompletableFuture<Integer> result = new CompletableFuture<>();
        Thread thread = new Thread(
                () -> {
                    try {
                        result.complete(call.getAsInt());
                    } catch (Throwable t) {
                        result.completeExceptionally(t);
                    }
                },
                "torpor-" + name);
        thread.setDaemon(true);
        thread.start();
        return result;
    }

    /** An interrupt does not stop the driver, so it is kept for later. */
    private static int await(CompletableFuture<Integer> result, Duration limit) throws Overdue {
        long deadline = System.nanoTime() + limit.toNanos();
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return result.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (TimeoutException e) {
                    throw new Overdue();
                } catch (ExecutionException e) {
                    throw new IllegalStateException("the call of the driver failed", e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
