package dev.torpor.criu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import dev.torpor.Failures;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@link Criu} makes of a program that looks like CRIU. */
class CriuTest {
    @TempDir
    private Path directory = Path.of("");

    private final Process target;

    CriuTest() throws IOException {
        target = new ProcessBuilder("sleep", "600").start();
    }

    @AfterEach
    void end() {
        target.destroy();
    }

    private Path program(String script) throws IOException {
        Path file = directory.resolve("criu");
        Files.writeString(file, "#!/bin/sh\n" + script + "\n");
        return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Criu criu(String version, String script) throws IOException {
        return Criu.at(
                program("if [ $1 = --version ]; then echo Version: " + version + "; exit; fi\ncd $3\n" + script));
    }

    @ParameterizedTest
    @ValueSource(strings = {"4.1", "4.1.1", "4.2", "4.10", "5.0-rc1", "10.0"})
    void aVersionThatIsNewEnough(String version) throws IOException {
        Criu criu = criu(version, "");

        assertThat(criu.version()).isEqualTo(version);
        assertThat(criu).hasToString("CRIU " + version + " at " + directory.resolve("criu"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"3.17.1", "4.0", "3.99"})
    void anOlderOneIsRefused(String version) {
        assertThat(Failures.failure(Problem.TOOL_MISSING, () -> criu(version, "")))
                .hasMessageStartingWith(directory.resolve("criu") + " is CRIU " + version
                        + ", which fails on Linux 6.13 and later: install CRIU 4.1 or later");
    }

    @ParameterizedTest
    @CsvSource({
        "echo GNU tools 1.0, ' (GNU tools 1.0)'",
        "exit 3, ''",
        "echo Version: 4.2; echo oh >&2; exit 1, ' (oh)'"
    })
    void whatIsNoCriuIsRefused(String script, String words) {
        assertThat(Failures.failure(Problem.TOOL_MISSING, () -> Criu.at(program(script))))
                .hasMessage(
                        directory.resolve("criu") + " tells no version of CRIU" + words + ": name a criu that works.");
    }

    @Test
    void aProgramThatIsNotThere() {
        Failures.failure(Problem.TOOL_MISSING, () -> Criu.at(directory.resolve("none")));
    }

    @Test
    void pluginsAreLeftOut() throws IOException {
        Criu criu = criu("4.2", "echo \"$CRIU_LIBS_DIR\" > folder; echo \"$7\" > flag; ls -A \"$7\" > found; exit 1");
        Path images = Files.createDirectory(directory.resolve("images"));

        Failures.failure(Problem.TOOL, () -> criu.dump(target.pid(), images, CriuDump.defaults()));

        String folder = Files.readString(images.resolve("folder"));
        assertThat(images.resolve("flag")).hasContent(folder);
        assertThat(images.resolve("found")).isEmptyFile();
        assertThat(Path.of(folder.strip())).isAbsolute().doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({"4.1.1, 130", "4.2.1, ''"})
    void olderOnesAreToldToDoWithoutBreakpoints(String version, String fault) throws IOException {
        Criu criu = criu(version, "");

        assertThat(criu.environment(directory).getOrDefault("CRIU_FAULT", "")).isEqualTo(fault);
        assertThat(criu.breakpoints(true).environment(directory)).isEqualTo(Map.of("CRIU_LIBS_DIR", "" + directory));
        assertThat(criu.breakpoints(false).environment(directory)).containsEntry("CRIU_FAULT", "130");
    }

    @Test
    void optionsAreCriusOwn() {
        assertThat(CriuDump.defaults())
                .hasToString("")
                .extracting(CriuOptions::limit)
                .isEqualTo(Duration.ofMinutes(10));
        assertThat(CriuDump.defaults()
                        .tcpEstablished()
                        .shellJob()
                        .extUnixSk()
                        .fileLocks()
                        .external("dev[1/3]:null")
                        .actionScript(Path.of("/x/hook"))
                        .leaveRunning()
                        .linkRemap()
                        .ghostLimit(1 << 20)
                        .verbosity(4)
                        .arguments("--manage-cgroups", "ignore"))
                .hasToString("--tcp-established --shell-job --ext-unix-sk --file-locks --external dev[1/3]:null"
                        + " --action-script /x/hook --leave-running --link-remap --ghost-limit 1048576"
                        + " --verbosity=4 --manage-cgroups ignore");
        assertThat(CriuRestore.defaults().skipFileRwxCheck().limit(Duration.ofSeconds(3)))
                .hasToString("--skip-file-rwx-check")
                .extracting(CriuOptions::limit)
                .isEqualTo(Duration.ofSeconds(3));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CriuDump.defaults().ghostLimit(-1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CriuDump.defaults().verbosity(5));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CriuDump.defaults().limit(Duration.ZERO));
    }

    @Test
    void oneThatHangsIsKilledWithWhatItHasStarted() throws IOException {
        Criu criu = criu("4.1.1", "sleep 600 & echo $! > child; wait").breakpoints(true);
        Path images = directory.resolve("images");

        TorporException e = Failures.failure(
                Problem.TOOL,
                () -> criu.dump(target.pid(), images, CriuDump.defaults().limit(Duration.ofMillis(1500))));

        assertThat(e)
                .hasMessage("CRIU could not dump process " + target.pid()
                        + " within 1.5 s, and was killed: give it more time,"
                        + " or set the variable CRIU_FAULT to 130 if hardware breakpoints do not work here, which makes CRIU"
                        + " hang. Process " + target.pid() + " is still there.");
        long child = Long.parseLong(Files.readString(images.resolve("child")).strip());
        await().until(() -> ProcessHandle.of(child).isEmpty());
    }

    @Test
    void theLogsFirstErrorIsTold() throws IOException {
        Criu criu = criu("4.2", "echo 'Error (criu/a.c:1): Something odd: Input/output error' > $1.log; exit 1");
        Path images = Files.createDirectory(directory.resolve("images"));

        assertThat(Failures.failure(Problem.TOOL, () -> criu.restore(images, CriuRestore.defaults())))
                .hasMessageStartingWith(
                        "CRIU could not restore what is in " + images + ": Something odd: Input/output error. ")
                .hasMessageEndingWith(" Its log is " + images.resolve("restore.log") + ". The images are intact.");
    }

    @Test
    void theLogOfBeforeIsNotTakenForTheNewOne() throws IOException {
        Criu criu = criu("4.2", "echo 'criu: out of luck' >&2; exit 1");
        Path images = Files.createDirectory(directory.resolve("images"));
        Files.writeString(images.resolve("dump.log"), "Error (criu/a.c:1): of before\n");

        assertThat(Failures.failure(Problem.TOOL, () -> criu.dump(target.pid(), images, CriuDump.defaults())))
                .hasMessageStartingWith("CRIU could not dump process " + target.pid() + ": criu: out of luck. ");
    }

    @Test
    void foldersAndProcessesThatAreNotThere() throws IOException {
        Criu criu = criu("4.2", "");
        Path nowhere = directory.resolve("none/none");

        Failures.failure(Problem.NO_SUCH_PROCESS, () -> criu.dump(Integer.MAX_VALUE, directory, CriuDump.defaults()));
        assertThat(Failures.failure(Problem.SNAPSHOT, () -> criu.dump(target.pid(), nowhere, CriuDump.defaults())))
                .hasMessageContaining("The folder " + nowhere + " cannot be made");
        assertThat(Failures.failure(Problem.SNAPSHOT, () -> criu.restore(nowhere, CriuRestore.defaults())))
                .hasMessageContaining("There is no folder " + nowhere);
    }

    @Test
    void whatMustNotBeStoppedIsNotGivenToCriu() throws IOException {
        Criu criu = criu("4.2", "echo $1 >> " + directory.resolve("was-run") + "; exit 1");
        Path images = directory.resolve("images");
        long parent = ProcessHandle.current().parent().orElseThrow().pid();

        for (long pid : List.of(1L, ProcessHandle.current().pid(), parent)) {
            assertThat(Failures.failure(Problem.SNAPSHOT, () -> criu.dump(pid, images, CriuDump.defaults())))
                    .hasMessageStartingWith("Process " + pid)
                    .hasMessageEndingWith("Nothing was touched.");
        }
        assertThat(images).doesNotExist();
        assertThat(directory.resolve("was-run")).doesNotExist();
    }

    @Test
    void aRestoreWithoutAPidIsNoRestore() throws IOException {
        Criu criu = criu("4.2", "");
        Path images = Files.createDirectory(directory.resolve("images"));
        Files.writeString(images.resolve("restore.pid"), "4711");

        assertThat(Failures.failure(Problem.TOOL, () -> criu.restore(images, CriuRestore.defaults())))
                .hasMessageContaining("left no pid in " + images.resolve("restore.pid"));
    }

    @Test
    void whatCriuMissesIsTold() throws IOException {
        Criu good = criu("4.2", "");
        good.check();
        Criu criu = criu("4.2", "exit 1");

        assertThat(Failures.failure(Problem.TOOL, criu::check))
                .hasMessageStartingWith(directory.resolve("criu") + " cannot work here: ");
    }
}
