package dev.torpor.examples.cli;

import dev.torpor.Cancellation;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Handles the signals that ask the command line to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP. A command that has nothing to undo ends
 * at once. A command that changes a process declares itself {@linkplain #finishesItsStep orderly}: the first signal requests its
 * cancellation, and the second one leaves at once. The exit code is 128 and the signal's number.
 */
final class StopRequest {
    private static final int SIGNAL_CODES = 128;

    private final Cancellation cancellation = new Cancellation();
    private final CountDownLatch asked = new CountDownLatch(1);
    private Consumer<String> say = sentence -> {};
    private boolean orderly;
    private boolean expected;
    private String leaving = "";
    private @Nullable String signal;
    private int code = ExitCode.CANCELLED.code();

    /** The signals that end a program by default, with their numbers. */
    private enum Stopping {
        HUP(1),
        INT(2),
        TERM(15);

        private final int number;

        Stopping(int number) {
            this.number = number;
        }
    }

    /**
     * Handles the signals of this process.
     *
     * @param sentences is told what a signal did that ended this process
     */
    void install(Consumer<String> sentences) {
        say = sentences;
        for (Stopping stopping : Stopping.values()) {
            Signals.handle(stopping.name(), () -> arrived("SIG" + stopping.name(), stopping.number));
        }
    }

    /**
     * From now on the first signal only requests the cancellation.
     *
     * @param left what the second signal leaves behind and what to type then, in one sentence
     */
    Cancellation finishesItsStep(String left) {
        synchronized (this) {
            orderly = true;
            leaving = left;
        }
        return cancellation;
    }

    /** From now on a signal is what ends this command, in an orderly way. To be called before the user can know that it is ready. */
    synchronized void expectSignal() {
        orderly = true;
        expected = true;
    }

    /** Waits for the signal that is expected; returns at once if it has come. */
    void awaitExpected() throws InterruptedException {
        asked.await();
    }

    /** For a command that ends at the first signal, in a shutdown hook of its own: what a second one leaves behind. */
    synchronized void cleansUp(String left) {
        leaving = left;
    }

    private void arrived(String name, int number) {
        boolean second;
        synchronized (this) {
            second = signal != null;
            signal = name;
            code = SIGNAL_CODES + number;
            if (!second && orderly) {
                asked.countDown();
            }
        }
        if (second) {
            say.accept("A second signal (" + name + ") ended this at once." + (leaving.isEmpty() ? "" : " " + leaving));
            Runtime.getRuntime().halt(code);
        } else if (orderly) {
            cancellation.request();
        } else {
            say.accept("Stopped by " + name + ".");
            System.exit(code);
        }
    }

    /** The signal that has come, like {@code SIGINT}; null if none has. */
    @Nullable
    synchronized String signal() {
        return signal;
    }

    synchronized int code() {
        return code;
    }

    /** Whether a signal has come that ended nothing, since all was done already. */
    synchronized boolean cameTooLate() {
        return signal != null && !expected;
    }

    boolean isRequested() {
        return cancellation.isRequested();
    }
}
