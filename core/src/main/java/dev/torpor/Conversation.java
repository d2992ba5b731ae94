package dev.torpor;

import dev.torpor.ShimTrouble.Kind;
import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One line to a Unix socket, and one line back. It has a thread of its own, since an interrupt closes a channel that its thread
 * reads, and neither the shim nor the driver is stopped by that.
 */
final class Conversation {
    /** What fits {@code sun_path} (unix(7)), less than the JDK's limit everywhere. */
    private static final int LONGEST_PATH = 100;

    private static final int LONGEST_LINE = 1 << 16;

    private final Path socket;
    private final String line;
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile @Nullable SocketChannel channel;
    private volatile boolean givenUp;
    private volatile boolean said;
    private @Nullable String answer;
    private @Nullable Throwable failure;

    private Conversation(Path socket, String line) {
        this.socket = socket;
        this.line = line;
    }

    /**
     * @param limit empty to wait as long as the other side keeps the connection
     * @return the answer, without its end
     */
    static String ask(Path socket, String line, Optional<Duration> limit) throws ShimTrouble {
        Conversation conversation = new Conversation(socket, line);
        Thread thread = new Thread(conversation::run, "torpor-ask");
        thread.setDaemon(true);
        thread.start();
        return conversation.await(limit);
    }

    private String await(Optional<Duration> limit) throws ShimTrouble {
        if (!endsWithin(limit)) {
            giveUp();
            throw new ShimTrouble(Kind.SILENT, "no answer came within " + Phase.text(limit.orElse(Duration.ZERO)));
        }
        Throwable failed = failure;
        if (failed instanceof ConnectException || (failed != null && !said)) {
            throw new ShimTrouble(Kind.ABSENT, "nothing can be told to it: " + words(failed));
        }
        if (failed != null) {
            throw new ShimTrouble(Kind.BROKEN, "the connection broke: " + words(failed));
        }
        String whole = answer;
        if (whole == null) {
            throw new ShimTrouble(Kind.BROKEN, "the connection ended before the answer did");
        }
        return whole;
    }

    private static String words(Throwable failed) {
        return failed instanceof IOException ? String.valueOf(failed.getMessage()) : failed.toString();
    }

    /** An interrupt is kept for later. */
    private boolean endsWithin(Optional<Duration> limit) {
        long deadline = System.nanoTime() + limit.orElse(Duration.ofDays(365)).toNanos();
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return ended.await(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** The thread ends by the channel's end. */
    private void giveUp() {
        givenUp = true;
        close(channel);
    }

    private static void close(@Nullable SocketChannel open) {
        try {
            if (open != null) {
                open.close();
            }
        } catch (IOException e) {
            return; // it is of no use any more
        }
    }

    private void run() {
        try (SocketChannel opened = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel = opened;
            if (givenUp) {
                return;
            }
            connect(opened);
            ByteBuffer words = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
            while (words.hasRemaining()) {
                opened.write(words);
            }
            said = true;
            answer = read(opened);
        } catch (Throwable t) { // an Error of the JVM, too, is the caller's
            failure = t;
        } finally {
            ended.countDown();
        }
    }

    private void connect(SocketChannel to) throws IOException {
        if (socket.toString().getBytes(StandardCharsets.UTF_8).length <= LONGEST_PATH) {
            to.connect(UnixDomainSocketAddress.of(socket));
            return;
        }
        Path folder = Files.createTempDirectory(Path.of("/tmp"), "torpor-"); // which only this user can enter
        try {
            Path link = Files.createSymbolicLink(folder.resolve("s"), socket);
            try {
                to.connect(UnixDomainSocketAddress.of(link));
            } finally {
                Files.delete(link);
            }
        } finally {
            Files.delete(folder);
        }
    }

    /** Null if the connection ends before the line does. */
    private static @Nullable String read(SocketChannel from) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(LONGEST_LINE);
        while (bytes.hasRemaining() && from.read(bytes) >= 0) {
            int end = bytes.position() - 1;
            for (int i = 0; i <= end; i++) {
                if (bytes.get(i) == '\n') {
                    return new String(bytes.array(), 0, i, StandardCharsets.UTF_8);
                }
            }
        }
        return null;
    }
}
