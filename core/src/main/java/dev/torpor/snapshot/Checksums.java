package dev.torpor.snapshot;

import dev.torpor.snapshot.Manifest.StoredFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32C;

/** The checksums of a file, by several threads: a JVM makes some 10 GB/s on each. */
final class Checksums implements AutoCloseable {
    private static final int MOST_THREADS = 8;
    private static final int PIECE = 1 << 20;

    private final ExecutorService threads = Executors.newFixedThreadPool(
            Math.min(MOST_THREADS, Runtime.getRuntime().availableProcessors()), work -> {
                Thread thread = new Thread(work, "torpor-checksum");
                thread.setDaemon(true);
                return thread;
            });

    /** What is under way. */
    record Making(String name, long bytes, List<Future<Long>> chunks) {
        /** @throws IOException if it could not be read */
        StoredFile made() throws IOException {
            List<Long> sums = new ArrayList<>();
            for (Future<Long> chunk : chunks) {
                sums.add(got(chunk));
            }
            return new StoredFile(name, bytes, sums);
        }
    }

    /** Begins with a file that nobody changes any more. */
    Making begin(String name, Path file, long bytes) {
        List<Future<Long>> chunks = new ArrayList<>();
        for (long at = 0; at < bytes; at += StoredFile.CHUNK) {
            long from = at;
            Callable<Long> sum = () -> sum(file, from, Math.min(StoredFile.CHUNK, bytes - from));
            chunks.add(threads.submit(sum));
        }
        return new Making(name, bytes, chunks);
    }

    private static Long sum(Path file, long from, long bytes) throws IOException {
        CRC32C crc = new CRC32C();
        ByteBuffer piece = ByteBuffer.allocateDirect(PIECE);
        try (FileChannel open = FileChannel.open(file, StandardOpenOption.READ)) {
            for (long done = 0; done < bytes; ) {
                piece.clear().limit((int) Math.min(PIECE, bytes - done));
                int got = open.read(piece, from + done);
                if (got < 0) {
                    throw new IOException(file + " ends before " + (from + bytes) + " bytes");
                }
                crc.update(piece.flip());
                done += got;
            }
        }
        return crc.getValue();
    }

    private static Long got(Future<Long> sum) throws IOException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return sum.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException failed) {
                throw failed;
            }
            throw new IllegalStateException("a checksum failed", e.getCause());
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
