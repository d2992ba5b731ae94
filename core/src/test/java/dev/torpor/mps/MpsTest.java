package dev.torpor.mps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.torpor.Failures;
import dev.torpor.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What fails; what goes well is in the contract, with a daemon. */
@Timeout(60)
class MpsTest {
    private static final Duration LIMIT = Duration.ofSeconds(5);

    @TempDir
    private Path folder = Path.of("");

    private Mps mps = Mps.ofThisProcess();

    @BeforeEach
    void begin() {
        mps = Mps.at(folder.resolve("pipe"), folder.resolve("log"));
    }

    /** With a shell script in place of the program. */
    private Mps with(String script) throws IOException {
        Path program = folder.resolve("control.sh");
        Files.writeString(program, "#!/bin/sh\n" + script);
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return mps.program(program);
    }

    /** A daemon that lives, as far as its files and its process tell. */
    private Process daemon() throws IOException {
        Process process = new ProcessBuilder("bash", "-c", "exec -a nvidia-cuda-mps-control sleep 60").start();
        Files.createDirectories(mps.pipeFolder());
        Files.writeString(mps.pipeFolder().resolve("nvidia-cuda-mps-control.pid"), Long.toString(process.pid()));
        Files.writeString(mps.pipeFolder().resolve("control"), "");
        await().until(() -> mps.status().running());
        return process;
    }

    @Test
    void foldersAreThoseOfTheEnvironmentOrTheDefaults() {
        assertThat(Mps.of(name -> null).clientEnvironment())
                .isEqualTo(Map.of(
                        "CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps", "CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps"));
        Mps named = Mps.of(name -> name.equals("CUDA_MPS_PIPE_DIRECTORY") ? "/run/mps" : "");
        assertThat(named.pipeFolder()).hasToString("/run/mps");
        assertThat(named.logFolder()).hasToString("/var/log/nvidia-mps");
        assertThat(Mps.at(Path.of("a"), Path.of("b")).pipeFolder()).isAbsolute();
        assertThat(named).hasToString("MPS at /run/mps");
    }

    @Test
    void aProgramThatIsMissingIsASentenceAndNothingIsMade() {
        Mps without = mps.program(folder.resolve("nothing"));
        assertThat(Failures.failure(Problem.TOOL_MISSING, without::start))
                .hasMessageContaining(folder.resolve("nothing") + " is not a program")
                .hasMessageContaining("install it");
        Failures.failure(Problem.TOOL_MISSING, without::servers);
        Failures.failure(Problem.TOOL_MISSING, without::unit);
        assertThat(mps.pipeFolder()).doesNotExist();
    }

    @Test
    void aDaemonThatDiesAtItsStartIsToldWithTheEndOfItsLog() throws IOException {
        Mps dying = with(
                "for i in 1 2 3 4; do echo line $i >> $CUDA_MPS_LOG_DIRECTORY/control.log; done; echo oh >&2; exit 7");
        assertThat(Failures.failure(Problem.TOOL, dying::start))
                .hasMessageContaining("-d started no control daemon at " + mps.pipeFolder())
                .hasMessageContaining("with status 7 (oh)")
                .hasMessageContaining(mps.logFolder().resolve("control.log") + " ends with: line 2 | line 3 | line 4");
    }

    @Test
    void aDaemonThatWritesNoLogIsToldWithoutIt() throws IOException {
        assertThat(Failures.failure(Problem.TOOL, with("exit 1")::start))
                .hasMessageContaining(mps.logFolder().resolve("control.log") + " cannot be read");
    }

    @Test
    void theProgramFindsTheFoldersAndWhatIsAddedInItsEnvironment() throws IOException {
        Mps told = with("echo $CUDA_MPS_PIPE_DIRECTORY $CUDA_VISIBLE_DEVICES >&2; exit 1")
                .variables(Map.of("CUDA_VISIBLE_DEVICES", "1"));
        assertThat(Failures.failure(Problem.TOOL, told::start)).hasMessageContaining("(" + mps.pipeFolder() + " 1)");
    }

    @Test
    void aSocketWhosePathIsTooLongIsRefusedBeforehand() {
        Mps deep = Mps.at(folder.resolve("x".repeat(120)), folder);
        assertThat(Failures.failure(Problem.TOOL, deep::start)).hasMessageContaining("at most 107 bytes");
        assertThat(deep.pipeFolder()).doesNotExist();
    }

    @Test
    void aFolderThatCannotBeMadeIsNamed() throws IOException {
        Files.createFile(folder.resolve("file"));
        Mps blocked = Mps.at(folder.resolve("file/pipe"), folder).program(Path.of("/bin/true"));
        assertThat(Failures.failure(Problem.TOOL, blocked::start))
                .hasMessageContaining("the folder " + blocked.pipeFolder() + " cannot be made");
    }

    @Test
    void aDaemonWithoutItsPipeIsNotStartedOverNorQuit() throws IOException {
        Process daemon = daemon();
        try {
            Files.delete(mps.pipeFolder().resolve("control"));
            assertThat(Failures.failure(Problem.TOOL, mps::start)).hasMessageContaining("is gone");
            assertThat(Failures.failure(Problem.TOOL, () -> mps.quit(LIMIT))).hasMessageContaining("is gone");
        } finally {
            daemon.destroy();
        }
    }

    @Test
    void aQuitThatDoesNotEndTheDaemonNamesItsClientsThatLive() throws IOException {
        Process daemon = daemon();
        long self = ProcessHandle.current().pid();
        try {
            Mps stubborn = with("read line; case $line in get_server_list) echo 5;; get_client_list*) echo " + self
                    + " 4194305;; quit) exec sleep 30;; esac");
            assertThat(Failures.failure(Problem.TOOL, () -> stubborn.quit(Duration.ofMillis(300))))
                    .hasMessageContaining("The MPS control daemon " + daemon.pid() + " at " + mps.pipeFolder())
                    .hasMessageContaining("has not ended within 300 ms")
                    .hasMessageContaining("waits for process " + self + ": end");
        } finally {
            daemon.destroy();
        }
    }

    @Test
    void aQuitThatIsRefusedIsToldWithTheProgramsWords() throws IOException {
        Process daemon = daemon();
        try {
            Mps refusing = with("read line; [ $line = quit ] && { echo not yours; exit 1; }; exit 0");
            assertThat(Failures.failure(Problem.TOOL, () -> refusing.quit(LIMIT)))
                    .hasMessageContaining("failed at 'quit' with status 1 (not yours)")
                    .hasMessageContaining("control daemon " + daemon.pid() + " runs at");
        } finally {
            daemon.destroy();
        }
    }

    @Test
    void aQuitIsOverWhenTheDaemonIsGone() throws IOException {
        Process daemon = daemon();
        with("read line; case $line in 'quit -t 2') kill " + daemon.pid() + "; exit 1;; esac")
                .forceQuit(Duration.ofMillis(1001), LIMIT);
        assertThat(mps.status().running()).isFalse();
    }

    @Test
    void aNegativeTimeIsRefused() {
        assertThatThrownBy(() -> mps.forceQuit(Duration.ofSeconds(-1), LIMIT))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
