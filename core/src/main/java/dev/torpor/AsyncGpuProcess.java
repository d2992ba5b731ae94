package dev.torpor;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The transitions of a {@link GpuProcess} as futures, each on a daemon thread of its own. A future fails with the
 * {@link TorporException} that the method of the same name throws there. Cancelling one stops nothing, since nothing can
 * interrupt the driver.
 */
public final class AsyncGpuProcess {
    private final GpuProcess process;
    private final @Nullable ProgressListener listener;

    AsyncGpuProcess(GpuProcess process, @Nullable ProgressListener listener) {
        this.process = process;
        this.listener = listener;
    }

    /** As {@link GpuProcess#suspend()}. */
    public CompletableFuture<Report> suspend() {
        return suspend(Suspend.defaults());
    }

    /** As {@link GpuProcess#suspend(Suspend)}. */
    public CompletableFuture<Report> suspend(Suspend options) {
        return start(Plan.suspend(options));
    }

    /** As {@link GpuProcess#resume()}. */
    public CompletableFuture<Report> resume() {
        return resume(Resume.defaults());
    }

    /** As {@link GpuProcess#resume(Resume)}. */
    public CompletableFuture<Report> resume(Resume options) {
        return start(Plan.resume(options));
    }

    /** As {@link GpuProcess#park}. */
    public CompletableFuture<Report> park() {
        return start(Plan.park(Suspend.to(Level.PARK)));
    }

    /** As {@link GpuProcess#unpark(Resume)}. */
    public CompletableFuture<Report> unpark(Resume options) {
        return start(Plan.unpark(options));
    }

    /** As {@link GpuProcess#lock}. */
    public CompletableFuture<Report> lock(Duration timeout) {
        return start(Plan.lock(Suspend.defaults().lockTimeout(timeout)));
    }

    /** As {@link GpuProcess#checkpoint(Suspend)}. */
    public CompletableFuture<Report> checkpoint(Suspend options) {
        return start(Plan.checkpoint(options));
    }

    /** As {@link GpuProcess#restore(Resume)}. */
    public CompletableFuture<Report> restore(Resume options) {
        return start(Plan.restore(options));
    }

    /** As {@link GpuProcess#unlock}. */
    public CompletableFuture<Report> unlock() {
        return start(Plan.unlock());
    }

    private CompletableFuture<Report> start(Plan plan) {
        Plan heard = listener == null ? plan : plan.heardBy(listener);
        CompletableFuture<Report> result = new CompletableFuture<>();
        Thread thread = new Thread(() -> complete(result, heard), "torpor-" + plan.operation() + "-" + process.pid());
        thread.setDaemon(true);
        thread.start();
        return result;
    }

    private void complete(CompletableFuture<Report> result, Plan plan) {
        try {
            result.complete(process.run(plan));
        } catch (Throwable t) {
            result.completeExceptionally(t);
        }
    }
}
