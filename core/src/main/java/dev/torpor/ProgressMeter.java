package dev.torpor;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Tells a listener how far a transition is, from a daemon thread; does nothing without one. */
final class ProgressMeter implements AutoCloseable {
    private static final long INTERVAL_MILLIS = 100;

    private final Preflight preflight;
    private final long residentBefore;
    private final OptionalLong bytesTotal;
    private @Nullable ProgressListener listener;
    private @Nullable Step step;
    private long begun;
    private boolean closed;

    private ProgressMeter(
            @Nullable ProgressListener listener, Preflight preflight, long residentBefore, OptionalLong bytesTotal) {
        this.listener = listener;
        this.preflight = preflight;
        this.residentBefore = residentBefore;
        this.bytesTotal = bytesTotal;
    }

    static ProgressMeter start(
            Optional<ProgressListener> listener, Preflight preflight, long residentBefore, OptionalLong bytesTotal) {
        ProgressMeter meter = new ProgressMeter(listener.orElse(null), preflight, residentBefore, bytesTotal);
        if (listener.isPresent()) {
            Thread thread = new Thread(meter::poll, "torpor-progress-" + preflight.pid());
            thread.setDaemon(true);
            thread.start();
        }
        return meter;
    }

    synchronized void begin(Step next) {
        step = next;
        begun = System.nanoTime();
        tell();
    }

    synchronized void end() {
        tell();
        step = null;
    }

    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }

    private synchronized void poll() {
        while (!closed && listener != null) {
            tell();
            try {
                wait(INTERVAL_MILLIS);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void tell() {
        Step current = step;
        ProgressListener hearer = listener;
        if (current == null || hearer == null) {
            return;
        }
        try {
            hearer.progress(
                    new Progress(current, Duration.ofNanos(System.nanoTime() - begun), moved(current), bytesTotal));
        } catch (Throwable e) { // whatever a listener throws is no failure of the transition
            listener = null;
            System.getLogger("dev.torpor")
                    .log(System.Logger.Level.WARNING, "a progress listener failed, and is told no more", e);
        }
    }

    private OptionalLong moved(Step current) {
        long resident = current == Step.CHECKPOINT ? preflight.proc().residentBytes(preflight.pid()) : -1;
        if (resident < 0 || residentBefore < 0) {
            return OptionalLong.empty();
        }
        return OptionalLong.of(Math.max(0, Math.min(resident - residentBefore, bytesTotal.orElse(Long.MAX_VALUE))));
    }
}
