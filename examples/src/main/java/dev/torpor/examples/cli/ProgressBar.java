package dev.torpor.examples.cli;

import dev.torpor.Progress;
import dev.torpor.ProgressListener;
import dev.torpor.examples.Sizes;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.OptionalLong;

/** A line on a terminal that is written over, and cleared at the end. */
final class ProgressBar implements ProgressListener, AutoCloseable {
    private static final String CLEAR = "\r\u001b[K";
    private static final int WIDTH = 30;

    private final PrintWriter terminal;

    ProgressBar(PrintWriter terminal) {
        this.terminal = terminal;
    }

    /** Whether stderr is a terminal; {@code System.console()} means other things on each Java. */
    static boolean isWatched() {
        try {
            String device = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
            return device.startsWith("/dev/pts/") || device.startsWith("/dev/tty") || device.equals("/dev/console");
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public synchronized void progress(Progress progress) {
        terminal.print(CLEAR + text(progress));
        terminal.flush();
    }

    static String text(Progress progress) {
        return String.format(
                Locale.ROOT,
                "%-10s %s%.1f s",
                progress.step(),
                bar(progress.bytesMoved(), progress.bytesTotal()),
                progress.elapsed().toMillis() / 1000.0);
    }

    private static String bar(OptionalLong moved, OptionalLong total) {
        if (moved.isEmpty() || total.orElse(0) <= 0) {
            return "";
        }
        double share = Math.min(1, (double) moved.getAsLong() / total.getAsLong());
        int full = (int) (WIDTH * share);
        return String.format(
                Locale.ROOT,
                "[%s%s] %3.0f %% of %s  ",
                "#".repeat(full),
                ".".repeat(WIDTH - full),
                100 * share,
                Sizes.text(total.getAsLong()));
    }

    @Override
    public synchronized void close() {
        terminal.print(CLEAR);
        terminal.flush();
    }
}
