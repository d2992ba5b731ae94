package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A shim of this process that a test can make misbehave: follows the protocol on a socket in a folder of its own, which what it gives out
 * as {@code /proc} tells of.
 */
final class FakeShim implements AutoCloseable {
    /** In place of an answer. */
    static final String SILENCE = "(silence)";

    /** Without the names of controllers. */
    final List<String> heard = new CopyOnWriteArrayList<>();

    final Path socket;
    final Path folder;
    volatile String state = "running";
    volatile long parkable = 1 << 20;
    volatile long left;
    volatile long arena;
    volatile long imports;
    volatile long multicasts;
    volatile long innerPid = ProcessHandle.current().pid();
    volatile String parkedBy = "";
    /** An earlier version: knows no controllers, and carries out every command after the others, a status too. */
    volatile boolean earlier;

    /** Is told of each line when it comes, before its turn. */
    volatile Consumer<String> arrived = line -> {};

    /** Is told of each line before it is carried out, in its turn. */
    volatile Consumer<String> before = line -> {};

    private volatile String lost = "";
    private volatile String refusedNow = "";
    private final AtomicInteger pending = new AtomicInteger();
    private final ReentrantLock turn = new ReentrantLock(true);
    private final Path proc;
    private final ServerSocketChannel server;
    private final Map<String, Fault> faults = new HashMap<>();

    private static final Pattern BY = Pattern.compile(" by=([^ ]+)");

    /** Says this, with no end of the line added, and closes the connection; after it has done what it was told, or instead. */
    record Fault(String answer, boolean after) {}

    FakeShim(Path directory) throws IOException {
        folder = Files.createDirectory(
                directory.resolve("socket"),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        socket = folder.resolve(innerPid + ".sock");
        proc = likeProc(directory, "TORPOR_DIR=" + folder);
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        Thread thread = new Thread(this::serve, "fake shim");
        thread.setDaemon(true);
        thread.start();
    }

    /** What {@code /proc} tells of this process, but for its environment. */
    static Path likeProc(Path directory, String environment) throws IOException {
        Path real = Path.of("/proc", "" + ProcessHandle.current().pid());
        Path root = Files.createDirectory(directory.resolve("proc"));
        Path own = Files.createDirectory(root.resolve(real.getFileName()));
        for (String name :
                List.of("stat", "statm", "status", "smaps", "maps", "cmdline", "root", "fd", "net", "ns", "uid_map")) {
            Files.createSymbolicLink(own.resolve(name), real.resolve(name));
        }
        Files.createSymbolicLink(root.resolve("self"), Path.of("/proc/self"));
        Files.createSymbolicLink(root.resolve("meminfo"), Path.of("/proc/meminfo"));
        Files.writeString(own.resolve("environ"), "A=1\0" + environment + "\0");
        return root;
    }

    ProcFs proc() {
        return new ProcFs(proc.toString());
    }

    ShimControl control() {
        return ShimControl.of(
                proc(),
                ProcessHandle.current().pid(),
                proc().startTime(ProcessHandle.current().pid()));
    }

    /** Answers a command with an error, having done nothing. */
    void refuse(String command, String error) {
        say(command, "error " + error + "\n");
    }

    void say(String command, String answer) {
        faults.put(command, new Fault(answer, false));
    }

    void sayAfterwards(String command, String answer) {
        faults.put(command, new Fault(answer, true));
    }

    void heal() {
        faults.clear();
    }

    /** From {@link #before}: refuses the command that is about to be carried out. */
    void refuseNow(String error) {
        refusedNow = error;
    }

    /** The connection ends as soon as the command has come, and the command is carried out. */
    void loseAnswer(String command) {
        lost = command;
    }

    /** The next command of this name is under way until the latch is open; its state is told meanwhile. */
    void hold(String command, String meanwhile, CountDownLatch until) {
        before = line -> {
            if (line.equals(command) || line.startsWith(command + " ")) {
                String was = state;
                state = meanwhile;
                awaitOpen(until);
                state = was;
            }
        };
    }

    private static void awaitOpen(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private void serve() {
        try {
            while (true) {
                SocketChannel peer = server.accept();
                Thread thread = new Thread(() -> talk(peer), "fake shim's peer");
                thread.setDaemon(true);
                thread.start();
            }
        } catch (IOException e) {
            heard.add("(closed)");
        }
    }

    private void talk(SocketChannel peer) {
        try (peer) {
            String line = line(peer);
            Matcher named = BY.matcher(line);
            String by = named.find() ? named.group(1) : "";
            heard.add(named.replaceAll(""));
            String command = line.split(" ", 2)[0];
            if (command.equals(lost)) {
                peer.close();
            }
            Fault fault = faults.get(command);
            String answer = fault == null || fault.after ? inTurn(line, command, by) + "\n" : "";
            answer = fault == null ? answer : fault.answer;
            if (answer.equals(SILENCE)) {
                line(peer); // until the other side gives up
                return;
            }
            peer.write(ByteBuffer.wrap(answer.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) {
            heard.add("(broken)");
        }
    }

    private String inTurn(String line, String command, String by) {
        arrived.accept(line);
        if (earlier && !by.isEmpty()) {
            return "error argument by is not known.";
        }
        if (command.equals("status") && !earlier) {
            before.accept(line);
            return answer(command, by);
        }
        pending.incrementAndGet();
        turn.lock();
        try {
            before.accept(line);
            String refusal = refusedNow;
            refusedNow = "";
            return refusal.isEmpty() ? answer(command, by) : "error " + refusal;
        } finally {
            turn.unlock();
            pending.decrementAndGet();
        }
    }

    private static String line(SocketChannel peer) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(1000);
        while (peer.read(bytes) >= 0 && bytes.get(bytes.position() - 1) != '\n') {}
        return new String(bytes.array(), 0, Math.max(0, bytes.position() - 1), StandardCharsets.UTF_8);
    }

    private synchronized String answer(String command, String by) {
        return switch (command) {
            case "status" -> status(state.equals("parked") ? parkable : 0);
            case "prepare" -> {
                arena = parkable;
                yield "ok arena_bytes=" + arena + " seconds=0.5";
            }
            case "park" -> state.equals("parked") ? "error parked It is parked already." : park(by);
            case "unpark" -> state.equals("parked") ? unpark(by) : "error running It runs.";
            case "release" -> {
                long had = arena;
                arena = 0;
                yield "ok arena_bytes=" + had;
            }
            case "stats" -> "ok to_device=3 to_device_gbps=12.5";
            default -> "error unknown There is no such command.";
        };
    }

    private String status(long parked) {
        return "ok version=9.9 pid=" + innerPid + " state=" + state + " parkable_bytes=" + (parkable - parked)
                + " parked_bytes=" + parked + " left_bytes=" + left + " arena_bytes=" + arena + " imports=" + imports
                + " multicasts=" + multicasts
                + (earlier ? "" : " pending_commands=" + pending + " parked_by=" + parkedBy)
                + " driver_buffers=0 devices=" + FakeDriver.GPU + ":" + parked + ":" + left;
    }

    private String park(String by) {
        state = "parked";
        parkedBy = by;
        arena = parkable;
        return "ok bytes=" + parkable + " blocks=3 left_bytes=" + left
                + " wait_seconds=0.000413 arena_seconds=0.000002 copy_seconds=0.182211 release_seconds=0.009312"
                + " seconds=0.1921 gbps=5.1";
    }

    private String unpark(String by) {
        if (!by.isEmpty() && !by.equals(parkedBy)) {
            return "error parked Another controller has parked it.";
        }
        state = "running";
        parkedBy = "";
        return "ok bytes=" + parkable + " blocks=3 map_seconds=0.0081 copy_seconds=0.198 seconds=0.2064 gbps=4.7";
    }

    @Override
    public void close() {
        try {
            server.close();
            Files.deleteIfExists(socket);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
