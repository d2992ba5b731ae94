package dev.torpor.examples.cli;

import dev.torpor.Progress;
import dev.torpor.ProgressListener;
import dev.torpor.examples.Sizes;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;

/** A line on a terminal that is written over, never wider than the terminal, and cleared at the end. */
final class ProgressBar implements AutoCloseable {
    private static final String CLEAR = "\r\u001b[K";
    private static final int WIDTH = 30;
    private static final int NARROWEST = 5;

    private final PrintWriter terminal;
    private final IntSupplier columns;
    private final BooleanSupplier stopping;
    private final Map<Long, Progress> latest = new LinkedHashMap<>();

    /**
     * @param columns of the terminal; 0 while that is not known, and nothing is shown
     * @param stopping whether the transition is going to be undone
     */
    ProgressBar(PrintWriter terminal, IntSupplier columns, BooleanSupplier stopping) {
        this.terminal = terminal;
        this.columns = columns;
        this.stopping = stopping;
    }

    static ProgressBar onTerminal(PrintWriter terminal, BooleanSupplier stopping) {
        return new ProgressBar(terminal, TerminalWidth.ofStderr(), stopping);
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

    /** Shows the progress of a process, added to that of the others. */
    ProgressListener of(long pid) {
        return progress -> show(pid, progress);
    }

    private synchronized void show(long pid, Progress progress) {
        latest.put(pid, progress);
        int room = columns.getAsInt() - 1; // a full line would move the cursor to the next
        if (room > 0) {
            terminal.print(CLEAR + text(latest.values(), stopping.getAsBoolean(), room));
            terminal.flush();
        }
    }

    /** What fits into so many columns: the bar shrinks first, then it is left out. */
    static String text(Collection<Progress> all, boolean stopping, int room) {
        Progress last = all.stream().min(Comparator.comparing(Progress::step)).orElseThrow();
        String step = String.format(Locale.ROOT, "%-10s ", (stopping ? "stopping: " : "") + last.step());
        Duration elapsed = all.stream()
                .map(Progress::elapsed)
                .max(Comparator.naturalOrder())
                .orElse(Duration.ZERO);
        String time = String.format(Locale.ROOT, "%.1f s", elapsed.toMillis() / 1000.0);
        OptionalLong moved = sum(all.stream().map(Progress::bytesMoved).toList());
        OptionalLong total = sum(all.stream().map(Progress::bytesTotal).toList());
        String whole = step + time;
        if (moved.isPresent() && total.orElse(0) > 0) {
            double share = Math.min(1, (double) moved.getAsLong() / total.getAsLong());
            String percent = String.format(Locale.ROOT, "%3.0f %%", 100 * share);
            String figures = " " + percent + " of " + Sizes.text(total.getAsLong()) + "  ";
            int width = Math.min(WIDTH, room - step.length() - 2 - figures.length() - time.length());
            whole = width >= NARROWEST ? step + bar(share, width) + figures + time : step + percent;
        }
        return whole.length() <= room ? whole : whole.substring(0, Math.max(0, room));
    }

    /** Of those that are known. */
    private static OptionalLong sum(Collection<OptionalLong> bytes) {
        return bytes.stream().anyMatch(OptionalLong::isPresent)
                ? OptionalLong.of(bytes.stream().mapToLong(one -> one.orElse(0)).sum())
                : OptionalLong.empty();
    }

    private static String bar(double share, int width) {
        int full = (int) (width * share);
        return "[" + "#".repeat(full) + ".".repeat(width - full) + "]";
    }

    @Override
    public synchronized void close() {
        terminal.print(CLEAR);
        terminal.flush();
    }
}
