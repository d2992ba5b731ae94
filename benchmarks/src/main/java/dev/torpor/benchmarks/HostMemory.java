package dev.torpor.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Memory of this machine. */
final class HostMemory {
    private static final int TOUCHERS = 16;

    private HostMemory() {}

    /** Memory that a virtual machine has never given to its guest is slow when it is touched: it shall be touched before. */
    static void touch(long bytes) throws InterruptedException {
        try (Arena arena = Arena.ofShared()) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < TOUCHERS; i++) {
                threads.add(Thread.ofPlatform().start(() -> arena.allocate(bytes / TOUCHERS))); // zeroed, so touched
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
    }

    /** What the kernel says could be had now. */
    static long available() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
                String[] words = line.split("\\s+", -1);
                if (words[0].equals("MemAvailable:")) {
                    return Long.parseLong(words[1]) << 10;
                }
            }
            return Long.MAX_VALUE;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
