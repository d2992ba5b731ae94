package dev.torpor.benchmarks.start;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** When a program reached what; System.nanoTime is CLOCK_MONOTONIC, so that the parent can compare it with its own. */
final class Milestones {
    private final FileOutputStream out = new FileOutputStream(FileDescriptor.out);
    private final long begun = System.nanoTime();
    private long opened;

    void opened() {
        opened = System.nanoTime();
    }

    /** One byte stops the parent's clock; the times follow after it. */
    void there() throws IOException {
        long there = System.nanoTime();
        out.write('!');
        out.write((begun + " " + opened + " " + there + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** Until the parent has seen it. */
    static void hold() throws IOException {
        int read = 0;
        while (read >= 0) {
            read = System.in.read();
        }
    }
}
