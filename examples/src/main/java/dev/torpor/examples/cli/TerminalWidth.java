package dev.torpor.examples.cli;

import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/**
 * The width of the terminal behind stderr, asked of {@code stty} on a thread of its own, so that no transition waits for it, and again
 * when the terminal is resized (SIGWINCH). Where stty does not know it is COLUMNS, or 80.
 */
final class TerminalWidth implements IntSupplier {
    private static final int STANDARD = 80;
    private static final long PATIENCE_SECONDS = 2;

    private final Semaphore changes = new Semaphore(1);
    private volatile int columns;

    private TerminalWidth() {}

    static TerminalWidth ofStderr() {
        TerminalWidth width = new TerminalWidth();
        Signals.handle("WINCH", width.changes::release);
        Thread thread = new Thread(width::follow, "torpor-terminal");
        thread.setDaemon(true);
        thread.start();
        return width;
    }

    /** 0 while it is not known. */
    @Override
    public int getAsInt() {
        return columns;
    }

    private void follow() {
        try {
            while (true) {
                changes.acquire();
                changes.drainPermits();
                columns = ask();
            }
        } catch (InterruptedException e) {
            return; // nobody does that
        }
    }

    private static int ask() throws InterruptedException {
        try {
            Process stty = new ProcessBuilder("stty", "size")
                    .redirectInput(Redirect.from(new File("/proc/self/fd/2")))
                    .redirectError(Redirect.DISCARD)
                    .start();
            if (!stty.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                stty.destroyForcibly();
                return fallback();
            }
            return parse(new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII));
        } catch (IOException e) {
            return fallback();
        }
    }

    /** Of rows and columns; 0 columns is what a terminal has that nobody has told its size. */
    static int parse(String size) {
        String[] words = size.strip().split(" ", -1);
        return words.length == 2 && words[1].matches("[1-9]\\d{0,4}") ? Integer.parseInt(words[1]) : fallback();
    }

    private static int fallback() {
        String columns = System.getenv("COLUMNS");
        return columns != null && columns.matches("[1-9]\\d{0,4}") ? Integer.parseInt(columns) : STANDARD;
    }
}
