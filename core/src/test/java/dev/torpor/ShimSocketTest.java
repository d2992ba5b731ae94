package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where a socket is looked for: process 7 is number 5 in a container, with a root of its own. */
class ShimSocketTest {
    @TempDir
    private Path directory = Path.of("");

    private final List<ServerSocketChannel> servers = new ArrayList<>();
    private Path root = Path.of("");

    @BeforeEach
    void begin() throws IOException {
        root = Files.createDirectory(directory.resolve("root"));
        Files.createDirectories(directory.resolve("proc/7"));
        Files.createSymbolicLink(directory.resolve("proc/7/root"), root);
        status(user());
        environment("A=1");
    }

    @AfterEach
    void end() throws IOException {
        for (ServerSocketChannel server : servers) {
            server.close();
        }
    }

    private static long user() {
        return new ProcFs().user(ProcessHandle.current().pid());
    }

    private void status(long user) throws IOException {
        write("status", "Tgid:\t7\nUid:\t0\t" + user + "\t0\t0\nNSpid:\t7\t5\n");
    }

    private void environment(String entry) throws IOException {
        write("environ", entry + "\0");
    }

    private void write(String file, String text) throws IOException {
        Files.writeString(directory.resolve("proc/7").resolve(file), text);
    }

    private ShimSocket found() throws ShimTrouble {
        return ShimSocket.of(new ProcFs(directory.resolve("proc").toString()), 7);
    }

    private void notFound(String reason) {
        assertThatExceptionOfType(ShimTrouble.class)
                .isThrownBy(this::found)
                .satisfies(e -> assertThat(e.kind()).isEqualTo(ShimTrouble.Kind.ABSENT))
                .withMessageContaining(reason);
    }

    /** One that says hello to whoever comes. */
    private Path serve(String folder) throws IOException {
        return serve(folder, "5.sock");
    }

    private Path serve(String folder, String name) throws IOException {
        Path made = Files.createDirectories(
                Path.of(root + folder),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
        Path near =
                Files.createSymbolicLink(directory.resolve("near" + servers.size()), made); // bind has its limit, too
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        servers.add(server);
        server.bind(UnixDomainSocketAddress.of(near.resolve(name)));
        Thread thread = new Thread(() -> hello(server), "hello");
        thread.setDaemon(true);
        thread.start();
        return made.resolve(name);
    }

    private static void hello(ServerSocketChannel server) {
        try {
            while (true) {
                try (SocketChannel peer = server.accept()) {
                    peer.read(ByteBuffer.allocate(100));
                    peer.write(ByteBuffer.wrap("ok\n".getBytes(StandardCharsets.UTF_8)));
                }
            }
        } catch (IOException e) {
            return; // the test has ended
        }
    }

    private static void assertServed(ShimSocket socket) throws ShimTrouble {
        assertThat(Conversation.ask(socket.path(), "hello", Optional.of(Duration.ofSeconds(10))))
                .isEqualTo("ok");
    }

    @Test
    void itIsInTheDefaultFolderOfTheUserUnderTheRootAndPidOfTheProcess() throws Exception {
        Path made = serve("/tmp/torpor-" + user());
        Path root = directory.resolve("proc/7/root");
        assertThat(found().path()).isEqualTo(root.resolve("tmp/torpor-" + user() + "/5.sock"));
        assertThat(found().seen()).hasToString("/tmp/torpor-" + user() + "/5.sock");
        assertThat(Files.isSameFile(found().path(), made)).isTrue();
        assertServed(found());
    }

    @Test
    void itIsInTheFolderThatTheEnvironmentOfTheProcessNames() throws Exception {
        environment("TORPOR_DIR=/run/../run/./x");
        notFound("nothing listens at /run/../run/./x/5.sock");
        serve("/run/x");
        assertServed(found());
        environment("TORPOR_DIR=");
        notFound("nothing listens at /tmp/torpor-");
    }

    @Test
    void itIsTheOneOfItsPidNamespaceWhereAnotherHasTheUsualName() throws Exception {
        Files.createDirectory(directory.resolve("proc/7/ns"));
        Files.createSymbolicLink(directory.resolve("proc/7/ns/pid"), Path.of("pid:[4026532000]"));
        environment("TORPOR_DIR=/run/x");
        serve("/run/x");
        assertThat(found().seen()).hasToString("/run/x/5.sock");
        serve("/run/x", "5-4026531836.sock"); // of a third one
        assertThat(found().seen()).hasToString("/run/x/5.sock");
        serve("/run/x", "5-4026532000.sock");
        assertThat(found().seen()).hasToString("/run/x/5-4026532000.sock");
        assertThat(found().isCertain(new ProcFs(directory.resolve("proc").toString()), 7))
                .isFalse();
        assertServed(found());
    }

    @Test
    void itIsInAnyOfTheFoldersThatTheShimMayHaveTrusted() throws Exception {
        serve("/tmp/torpor-" + user() + "-1");
        assertThat(found().seen()).hasToString("/tmp/torpor-" + user() + "-1/5.sock");
        serve("/run/user/" + user() + "/torpor");
        assertThat(found().seen()).hasToString("/run/user/" + user() + "/torpor/5.sock");
        environment("XDG_RUNTIME_DIR=/run/mine");
        assertThat(found().seen()).hasToString("/run/user/" + user() + "/torpor/5.sock");
        serve("/run/mine/torpor");
        assertThat(found().seen()).hasToString("/run/mine/torpor/5.sock");
    }

    @Test
    void linksAreTheProcesssOwn() throws Exception {
        serve("/run/x");
        Files.createDirectories(root.resolve("var"));
        Files.createSymbolicLink(root.resolve("var/run"), Path.of("/run"));
        Files.createSymbolicLink(root.resolve("var/up"), Path.of("../../../../var/run/x"));
        for (String folder : List.of("/var/run/x", "/var/up", "/../var/up")) {
            environment("TORPOR_DIR=" + folder);
            assertThat(found().path()).hasToString(directory.resolve("proc/7/root") + "/run/x/5.sock");
            assertServed(found());
        }
        Files.createSymbolicLink(root.resolve("round"), Path.of("round"));
        environment("TORPOR_DIR=/round");
        notFound("too many links");
    }

    @Test
    void aPathOfAnyLengthIsReached() throws Exception {
        String folder = "/" + "a".repeat(120) + "/" + "b".repeat(120);
        environment("TORPOR_DIR=" + folder);
        serve(folder);
        assertServed(found());
    }

    @Test
    void whatBelongsToAnotherUserIsLeftAlone() throws Exception {
        environment("TORPOR_DIR=/run/x");
        serve("/run/x");
        status(user() + 1);
        notFound("/run/x belongs to user " + user() + " and not to user " + (user() + 1));
    }

    @Test
    void aLinkInThePlaceOfTheSocketIsNoSocket() throws Exception {
        Path made = serve("/run/x");
        environment("TORPOR_DIR=/run/y");
        Files.createDirectory(root.resolve("run/y"));
        Files.createSymbolicLink(root.resolve("run/y/5.sock"), made);
        notFound("is no socket");
    }

    @Test
    void aSocketThatTheProcessDoesNotHoldIsNotItsOwn() throws Exception {
        serve("/run/x");
        environment("TORPOR_DIR=/run/x");
        Files.createDirectory(directory.resolve("proc/7/net"));
        Files.createDirectory(directory.resolve("proc/7/fd"));
        String head = "Num       RefCount Protocol Flags    Type St Inode Path\n";
        String line = "0000000000000000: 00000002 00000000 %s 0001 01 %d %s/5.sock\n";
        write("net/unix", head + String.format(line, "00010000", 77, "/run/x"));
        Files.createSymbolicLink(directory.resolve("proc/7/fd/3"), Path.of("socket:[78]"));
        notFound("another process than it listens at /run/x/5.sock");
        Files.createSymbolicLink(directory.resolve("proc/7/fd/4"), Path.of("socket:[77]"));
        assertServed(found());
        Files.delete(directory.resolve("proc/7/fd/4"));
        write("net/unix", head + String.format(line, "00000000", 77, "/run/x"));
        assertServed(found());
    }

    @Test
    void aProcessWhoseRootCannotBeSeenIsLookedForInOurs() throws Exception {
        Files.delete(directory.resolve("proc/7/root"));
        environment("TORPOR_DIR=" + root + "/run/x");
        serve("/run/x");
        assertServed(found());
    }
}
