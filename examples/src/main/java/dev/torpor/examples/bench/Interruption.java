package dev.torpor.examples.bench;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Ctrl-C, or a SIGTERM: what sleeps is ended, and this process ends when it has cleaned up and written what it knows, or after a time.
 */
final class Interruption implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 300;

    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread hook = new Thread(this::come, "bench-interrupted");
    private volatile boolean hasCome;
    private volatile @Nullable Subject watched;

    Interruption() {
        Runtime.getRuntime().addShutdownHook(hook);
    }

    boolean hasCome() {
        return hasCome;
    }

    /** What to end at once if it comes; null for nothing. */
    void watch(@Nullable Subject subject) {
        watched = subject;
        if (hasCome) {
            end(subject);
        }
    }

    private static void end(@Nullable Subject subject) {
        if (subject != null) {
            subject.close();
        }
    }

    private void come() {
        hasCome = true;
        try {
            end(watched);
        } finally {
            awaitClosed();
        }
    }

    private void awaitClosed() {
        try {
            boolean unused = closed.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        closed.countDown();
        if (!hasCome) {
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                return; // it has come just now
            }
        }
    }
}
