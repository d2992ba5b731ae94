package dev.torpor.mps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.mps.MpsStatus.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MpsStatusTest {
    @TempDir
    private Path pipe = Path.of("");

    private void write(String pid) throws IOException {
        Files.writeString(pipe.resolve("nvidia-cuda-mps-control.pid"), pid);
    }

    private MpsStatus status() {
        return MpsStatus.of(pipe);
    }

    private static Process sleeping(String name) throws IOException {
        Process process = new ProcessBuilder("bash", "-c", "exec -a " + name + " sleep 60").start();
        Awaitility.await()
                .until(() -> Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"))
                        .startsWith(name + "\0"));
        return process;
    }

    @Test
    void noFolderAndNoFileAreNoDaemon() throws IOException {
        assertThat(status().state()).isEqualTo(State.ABSENT);
        assertThat(MpsStatus.of(pipe.resolve("nowhere")).state()).isEqualTo(State.ABSENT);
        assertThat(MpsStatus.of(Path.of("/dev/null")).state()).isEqualTo(State.ABSENT);
        Files.createFile(pipe.resolve("control"));
        assertThat(status().state())
                .as("a daemon that was quit leaves its pipe")
                .isEqualTo(State.ABSENT);
        assertThat(status().reason()).isEqualTo("there is no control daemon at " + pipe);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "-1", "0", "12 13", "99999999999"})
    void whatIsNoProcessIdIsStale(String text) throws IOException {
        write(text);
        assertThat(status().state()).isEqualTo(State.STALE);
        assertThat(status().reason()).endsWith("nvidia-cuda-mps-control.pid holds no process id");
    }

    @Test
    @Timeout(30)
    void aPipeInPlaceOfTheFileIsStale() throws Exception {
        String file = pipe.resolve("nvidia-cuda-mps-control.pid").toString();
        assertThat(new ProcessBuilder("mkfifo", file).start().waitFor()).isZero();
        assertThat(status().state()).isEqualTo(State.STALE);
        assertThat(status().reason()).isEqualTo(file + " is no regular file");
    }

    @Test
    void aProcessThatHasEndedIsStale() throws Exception {
        Process ended = new ProcessBuilder("true").start();
        ended.waitFor();
        write(ended.pid() + "\n");
        assertThat(status()).satisfies(status -> {
            assertThat(status.state()).isEqualTo(State.STALE);
            assertThat(status.pid()).isEmpty();
            assertThat(status.reason()).endsWith("names process " + ended.pid() + ", which has ended");
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"nvidia-cuda-mps-server", "another"})
    void aProcessOfAnotherProgramIsStale(String name) throws IOException {
        Process other = sleeping(name);
        try {
            write(Long.toString(other.pid()));
            Files.createFile(pipe.resolve("control"));
            assertThat(status().state()).isEqualTo(State.STALE);
            assertThat(status().reason()).endsWith(", which is another program (" + name + ")");
        } finally {
            other.destroy();
        }
    }

    @Test
    void aDaemonRunsIfItsPipeIsThere() throws IOException {
        Process daemon = sleeping("nvidia-cuda-mps-control");
        try {
            write(Long.toString(daemon.pid()));
            assertThat(status().state()).isEqualTo(State.UNREACHABLE);
            assertThat(status().pid()).hasValue(daemon.pid());
            assertThat(status().reason()).endsWith("but its pipe " + pipe.resolve("control") + " is gone");
            Files.createFile(pipe.resolve("control"));
            assertThat(status().running()).isTrue();
            assertThat(status().reason()).isEqualTo("control daemon " + daemon.pid() + " runs at " + pipe);
        } finally {
            daemon.destroy();
        }
    }

    @Test
    void aFolderThatMayNotBeReadIsUnreachable() throws IOException {
        write("1");
        Files.setPosixFilePermissions(pipe, Set.of());
        try {
            assumeTrue(!Files.isReadable(pipe), "needs an ordinary user: root may read every folder");
            assertThat(status().state()).isEqualTo(State.UNREACHABLE);
            assertThat(status().reason()).endsWith("may not be read by this user");
        } finally {
            Files.setPosixFilePermissions(pipe, PosixFilePermissions.fromString("rwx------"));
        }
    }

    @Property(tries = 200)
    void noTextMakesADaemon(@ForAll String text) throws IOException {
        Path folder = Files.createTempDirectory("torpor-status-");
        Path file = Files.writeString(folder.resolve("nvidia-cuda-mps-control.pid"), text.replaceAll("\\p{Cs}", ""));
        assertThat(MpsStatus.of(folder).running()).isFalse();
        Files.delete(file);
        Files.delete(folder);
    }
}
