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

/**
 * A shim of this process that a test can make misbehave: follows the protocol on a socket in a folder of its own, which what it gives out
 * as {@code /proc} tells of.
 */
final class FakeShim implements AutoCloseable {
    /** In place of an answer. */
    static final String SILENCE = "(silence)";

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

    private final Path proc;
    private final ServerSocketChannel server;
    private final Map<String, Fault> faults = new HashMap<>();

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
            heard.add(line);
            String command = line.split(" ", 2)[0];
            Fault fault = faults.get(command);
            String answer = fault == null || fault.after ? answer(command) + "\n" : "";
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

    private static String line(SocketChannel peer) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(1000);
        while (peer.read(bytes) >= 0 && bytes.get(bytes.position() - 1) != '\n') {}
        return new String(bytes.array(), 0, Math.max(0, bytes.position() - 1), StandardCharsets.UTF_8);
    }

    private synchronized String answer(String command) {
        return switch (command) {
            case "status" -> status(state.equals("parked") ? parkable : 0);
            case "prepare" -> {
                arena = parkable;
                yield "ok arena_bytes=" + arena + " seconds=0.5";
            }
            case "park" -> state.equals("parked") ? "error parked It is parked already." : park();
            case "unpark" -> state.equals("parked") ? unpark() : "error running It runs.";
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
                + " multicasts=" + multicasts;
    }

    private String park() {
        state = "parked";
        arena = parkable;
        return "ok bytes=" + parkable + " blocks=3 left_bytes=" + left
                + " wait_seconds=0.000413 arena_seconds=0.000002 copy_seconds=0.182211 release_seconds=0.009312"
                + " seconds=0.1921 gbps=5.1";
    }

    private String unpark() {
        state = "running";
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
