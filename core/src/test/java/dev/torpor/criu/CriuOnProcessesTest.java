package dev.torpor.criu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.torpor.Failures;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.contract.NeedsCriu;
import dev.torpor.contract.Programs;
import dev.torpor.tools.ProcFs;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real CRIU on real processes that have nothing to do with a GPU. */
@NeedsCriu
class CriuOnProcessesTest {
    /** Counts for ever, into a file that it opens anew each time. */
    private static final String COUNTER = "i=0; while :; do i=$((i+1)); echo $i > \"$1\"; sleep 0.02; done";

    /** Every JVM that starts deletes /tmp/hsperfdata_USER/PID of processes that are gone, which the dumped one has mapped. */
    private static final String NO_SHARED_FILE = "-XX:+PerfDisableSharedMem";

    @TempDir
    private Path directory;

    private final List<ProcessHandle> started = new ArrayList<>();
    private @Nullable Criu criu;
    private int counted;

    @BeforeEach
    void find() {
        criu = Programs.criu();
    }

    @AfterEach
    void end() {
        for (ProcessHandle process : started) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
    }

    private Criu criu() {
        return Objects.requireNonNull(criu);
    }

    /** In a session of its own, with files and no pipes: nothing of it is outside. */
    private long start(String... command) throws IOException {
        List<String> words = new ArrayList<>(List.of("setsid"));
        words.addAll(List.of(command));
        Process process = new ProcessBuilder(words)
                .redirectInput(new File("/dev/null"))
                .redirectOutput(new File("/dev/null"))
                .redirectError(ProcessBuilder.Redirect.appendTo(new File("/dev/null")))
                .start();
        started.add(process.toHandle());
        await().until(() -> !command(process.pid()).startsWith("setsid"));
        return process.pid();
    }

    private static String command(long pid) throws IOException {
        return Files.readString(Path.of("/proc/" + pid + "/cmdline"));
    }

    private CriuRestored restore(Path images, CriuRestore options) {
        CriuRestored restored = criu().restore(images, options);
        ProcessHandle.of(restored.pid()).ifPresent(started::add);
        return restored;
    }

    private Path counts() {
        return directory.resolve("count");
    }

    /** What was last read: the file is empty for a moment while a count is written, and stays so if the process is dumped then. */
    private int count() {
        try {
            String text = Files.readString(counts()).strip();
            counted = text.isEmpty() ? counted : Integer.parseInt(text);
        } catch (IOException e) {
            counted = 0;
        }
        return counted;
    }

    private void awaitCountAbove(int before) {
        await().atMost(Duration.ofSeconds(20)).until(() -> count() > before);
    }

    @Test
    void aTreeOfProcessesComesBackWhereItWas() throws IOException {
        long pid = start("/bin/sh", "-c", COUNTER, "sh", counts().toString());
        awaitCountAbove(20);
        Path images = directory.resolve("images");

        CriuStatistics.Dump down = criu().dump(pid, images, CriuDump.defaults());

        assertThat(new ProcFs().startTime(pid)).isNegative();
        assertThat(down.frozen()).isPositive();
        assertThat(down.pagesWritten()).isPositive().isLessThanOrEqualTo(down.pagesScanned());
        int before = count();
        CriuRestored up = restore(images, CriuRestore.defaults());
        assertThat(up.pid()).isEqualTo(pid);
        assertThat(up.statistics().restore()).isPositive();
        assertThat(up.statistics().pagesRestored()).isPositive();
        awaitCountAbove(before);
        assertThat(count()).isGreaterThan(20);
    }

    @Test
    void aJvmComesBackWhereItWas() throws IOException {
        Path source = directory.resolve("Counter.java");
        Files.writeString(source, """
                public class Counter {
                    public static void main(String[] args) throws Exception {
                        for (int i = 0; ; i++) {
                            java.nio.file.Files.writeString(java.nio.file.Path.of(args[0]), Integer.toString(i));
                            Thread.sleep(20);
                        }
                    }
                }
                """);
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        long pid = start(java, NO_SHARED_FILE, "-XX:TieredStopAtLevel=1", source.toString(), counts().toString());
        awaitCountAbove(10);

        criu().dump(pid, directory.resolve("images"), CriuDump.defaults());
        int before = count();
        assertThat(restore(directory.resolve("images"), CriuRestore.defaults()).pid())
                .isEqualTo(pid);

        awaitCountAbove(before);
        assertThat(count()).isGreaterThan(10);
    }

    @Test
    void itIsDumpedAgainAfterARestore() throws IOException {
        long pid = start("sleep", "600");
        for (int round = 0; round < 2; round++) {
            Path images = directory.resolve("images-" + round);
            criu().dump(pid, images, CriuDump.defaults());
            assertThat(restore(images, CriuRestore.defaults()).pid()).isEqualTo(pid);
        }
        assertThat(ProcessHandle.of(pid).map(ProcessHandle::isAlive)).isEqualTo(Optional.of(true));
    }

    @Test
    void leftRunningItRunsOnAndKeepsItsPid() throws IOException {
        long pid = start("sleep", "600");
        Path images = directory.resolve("images");

        criu().dump(pid, images, CriuDump.defaults().leaveRunning());

        assertThat(ProcessHandle.of(pid).map(ProcessHandle::isAlive)).isEqualTo(Optional.of(true));
        assertThat(Failures.failure(Problem.TOOL, () -> restore(images, CriuRestore.defaults())))
                .hasMessageContaining("Can't fork for " + pid + ": File exists. Another process has the pid now");
        assertThat(ProcessHandle.of(pid).map(ProcessHandle::isAlive)).isEqualTo(Optional.of(true));
    }

    @Test
    void aProcessOfAnotherSessionNeedsShellJob() throws IOException {
        Path told = directory.resolve("pid");
        start("/bin/sh", "-c", "sleep 600 & echo $! > \"$0\"; wait", told.toString());
        await().until(() -> Files.exists(told) && Files.readString(told).endsWith("\n"));
        long pid = Long.parseLong(Files.readString(told).strip());
        Path images = directory.resolve("images");

        TorporException e = Failures.failure(Problem.TOOL, () -> criu().dump(pid, images, CriuDump.defaults()));

        assertThat(e)
                .hasMessageContaining("is not a session leader")
                .hasMessageContaining("sk for --shell-job")
                .hasMessageEndingWith("Process " + pid + " is still there.");
        criu().dump(pid, images, CriuDump.defaults().shellJob());
        assertThat(restore(images, CriuRestore.defaults().shellJob()).pid()).isEqualTo(pid);
    }

    @Test
    void aFileThatGrewAfterTheDumpFailsTheRestore() throws IOException {
        Path log = directory.resolve("log");
        long pid = start("/bin/sh", "-c", "exec 3> \"$1\"; echo one >&3; exec sleep 600", "sh", log.toString());
        await().until(() ->
                Files.exists(log) && Files.size(log) == 4 && command(pid).startsWith("sleep"));
        Path images = directory.resolve("images");
        criu().dump(pid, images, CriuDump.defaults());

        Files.writeString(log, "another\n");
        assertThat(Failures.failure(Problem.TOOL, () -> restore(images, CriuRestore.defaults())))
                .hasMessageContaining("has bad size 8 (expect 4). A file that it has open has changed")
                .hasMessageEndingWith("The images are intact.");
        Files.delete(log);
        assertThat(Failures.failure(Problem.TOOL, () -> restore(images, CriuRestore.defaults())))
                .hasMessageContaining("No such file or directory. Put back what it had open");
        Files.writeString(log, "two\n");
        Files.setPosixFilePermissions(log, PosixFilePermissions.fromString("rw-------"));
        assertThat(Failures.failure(Problem.TOOL, () -> restore(images, CriuRestore.defaults())))
                .hasMessageContaining("ask for --skip-file-rwx-check");

        assertThat(restore(images, CriuRestore.defaults().skipFileRwxCheck()).pid())
                .isEqualTo(pid);
    }

    @Test
    void aFileThatHasLostItsNameAndHasAnotherNeedsLinkRemap() throws IOException {
        Path gone = directory.resolve("gone");
        long pid = start(
                "/bin/sh",
                "-c",
                "exec 3> \"$1\"; echo one >&3; ln \"$1\" \"$1.2\"; rm \"$1\"; exec sleep 600",
                "sh",
                gone.toString());
        await().until(() -> command(pid).startsWith("sleep"));
        Path images = directory.resolve("images");

        assertThat(Failures.failure(Problem.TOOL, () -> criu().dump(pid, images, CriuDump.defaults())))
                .hasMessageContaining("option --link-remap");
        criu().dump(pid, images, CriuDump.defaults().linkRemap());
        assertThat(Criu.processesOf(images)).containsExactly(pid);
        assertThat(Criu.remappedLinksOf(images))
                .singleElement()
                .satisfies(link -> assertThat(link).hasParent(directory).hasContent("one"));

        restore(images, CriuRestore.defaults());
        assertThat(Failures.failure(Problem.TOOL, () -> restore(images, CriuRestore.defaults())))
                .hasMessageContaining("Another process has the pid now");
    }

    @Test
    void aLockOnAFileNeedsFileLocks() throws IOException {
        long pid = start("flock", directory.resolve("lock").toString(), "sleep", "600");
        await().until(() -> ProcessHandle.of(pid).orElseThrow().children().count() == 1);
        Path images = directory.resolve("images");

        assertThat(Failures.failure(Problem.TOOL, () -> criu().dump(pid, images, CriuDump.defaults())))
                .hasMessageContaining("Ask for --file-locks");
        criu().dump(pid, images, CriuDump.defaults().fileLocks());
        restore(images, CriuRestore.defaults().fileLocks());
    }

    @Test
    void anEstablishedConnectionNeedsTcpEstablished() throws IOException {
        assumeFalse(
                criu().version().startsWith("4.1"),
                "needs a newer criu: CRIU 4.1 cannot dump TCP sockets on Linux 6.16 and later");
        Path source = directory.resolve("Connected.java");
        Files.writeString(source, """
                public class Connected {
                    public static void main(String[] args) throws Exception {
                        java.net.InetAddress here = java.net.InetAddress.getLoopbackAddress();
                        java.net.ServerSocket server = new java.net.ServerSocket(0, 1, here);
                        java.net.Socket one = new java.net.Socket(here, server.getLocalPort());
                        java.net.Socket other = server.accept();
                        for (int i = 0; ; i++) {
                            one.getOutputStream().write(1);
                            java.nio.file.Files.writeString(
                                    java.nio.file.Path.of(args[0]), Integer.toString(i + other.getInputStream().read()));
                            Thread.sleep(20);
                        }
                    }
                }
                """);
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        long pid = start(java, NO_SHARED_FILE, "-XX:TieredStopAtLevel=1", source.toString(), counts().toString());
        awaitCountAbove(10);
        Path images = directory.resolve("images");

        assertThat(Failures.failure(Problem.TOOL, () -> criu().dump(pid, images, CriuDump.defaults())))
                .hasMessageContaining("Ask for --tcp-established");
        criu().dump(pid, images, CriuDump.defaults().tcpEstablished());
        int before = count();
        restore(images, CriuRestore.defaults().tcpEstablished());
        awaitCountAbove(before);
    }

    /** The hook after a dump runs while the processes stand still. */
    @Test
    void whereCriuIsKilledTheProcessRunsOn() throws IOException {
        Path hook = directory.resolve("hook");
        Files.writeString(hook, "#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION != post-dump ] || exec sleep 600\n");
        Files.setPosixFilePermissions(hook, PosixFilePermissions.fromString("rwx------"));
        long pid = start("/bin/sh", "-c", COUNTER, "sh", counts().toString());
        awaitCountAbove(0);
        Path images = directory.resolve("images");

        TorporException e = Failures.failure(
                Problem.TOOL,
                () -> criu().dump(
                                pid,
                                images,
                                CriuDump.defaults().actionScript(hook).limit(Duration.ofSeconds(10))));

        assertThat(e)
                .hasMessageContaining("could not dump process " + pid + " within 10.0 s, and was killed")
                .hasMessageEndingWith("Process " + pid + " is still there.");
        awaitCountAbove(count());
        criu().dump(pid, images, CriuDump.defaults());
        assertThat(restore(images, CriuRestore.defaults()).pid()).isEqualTo(pid);
        awaitCountAbove(count());
    }

    @Test
    void ofARestoreThatIsKilledNothingIsLeft() throws IOException {
        Path hook = directory.resolve("hook");
        Files.writeString(hook, "#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION != post-restore ] || exec sleep 600\n");
        Files.setPosixFilePermissions(hook, PosixFilePermissions.fromString("rwx------"));
        long pid = start("sleep", "600");
        Path images = directory.resolve("images");
        criu().dump(pid, images, CriuDump.defaults());

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> restore(
                                images,
                                CriuRestore.defaults().actionScript(hook).limit(Duration.ofSeconds(3)))))
                .hasMessageContaining("within 3.0 s, and was killed");

        await().until(() -> ProcessHandle.of(pid).isEmpty());
        assertThat(restore(images, CriuRestore.defaults()).pid()).isEqualTo(pid);
    }
}
