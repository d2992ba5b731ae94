package dev.torpor.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.torpor.Failures;
import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.Suspend;
import dev.torpor.criu.Criu;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@link Podman} makes of a program that looks like podman. */
class PodmanTest {
    private static final String STATISTICS = "{\"podman_checkpoint_duration\": 5, \"container_statistics\": null}";

    @TempDir
    private Path directory;

    private Path program(String name, String script) throws IOException {
        Path file = Files.writeString(directory.resolve(name), "#!/bin/sh\n" + script + "\n");
        return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
    }

    private PodmanCommand command(String script) throws IOException {
        Criu criu = Criu.at(program(
                "criu-here",
                "[ $1 != --version ] || exec echo Version: 4.1.1\n"
                        + "echo \"$@ fault=$CRIU_FAULT plugins=$(ls -A \"$CRIU_LIBS_DIR\")\" > " + directory
                        + "/criu-was"));
        return new PodmanCommand(program("podman", script), "runc", criu);
    }

    @Test
    void theRuntimeFindsTheCriuThatWasChosenWithWhatItIsToKnow() throws IOException {
        PodmanCommand command = command(
                "echo \"$@\" > " + directory + "/words; env -i PATH=\"$PATH\" criu swrk 3; echo '" + STATISTICS + "'");

        PodmanStatistics statistics = command.act(
                "checkpoint",
                command.chosenCriu(),
                "checkpoint it",
                null,
                PodmanCheckpoint.defaults().keep(),
                "0123");

        assertThat(directory.resolve("words"))
                .hasContent("--runtime runc container checkpoint --print-stats --keep 0123");
        assertThat(directory.resolve("criu-was")).hasContent("swrk 3 fault=130 plugins=");
        assertThat(statistics.podman()).isEqualTo(Duration.ofNanos(5000));
        assertThat(statistics.id()).isEmpty();
    }

    @Test
    void whetherPodmanKeepsTheCheckpointIsKnown() {
        PodmanRestore restore = PodmanRestore.defaults();

        assertThat(restore.keeps()).isFalse();
        assertThat(restore.tcpEstablished().name("k").keeps()).isFalse();
        assertThat(restore.tcpEstablished().keep().keeps()).isTrue();
        assertThat(restore.arguments("-k").keeps()).isTrue();
        assertThat(restore.arguments("--keep=true").keeps()).isTrue();
    }

    @Test
    void aPreCheckpointStoresNothing() {
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/volume/"));

        assertThat(stored.keep().store()).contains(Path.of("/volume"));
        assertThat(stored.preCheckpoint().store()).isEmpty();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PodmanCheckpoint.defaults().storeAt(Path.of("volume")))
                .withMessageContaining("'volume' is relative");
    }

    @ParameterizedTest
    @CsvSource({"checkpoint, yes", "restore, no"})
    void ctrlCDoesNotReachACheckpoint(String action, String own) throws IOException {
        PodmanCommand command = command("set -- $(cat /proc/$$/stat); [ $6 = $$ ] && own=yes || own=no; echo $own > "
                + directory + "/own; echo '" + STATISTICS.replace("checkpoint", action) + "'");

        command.act(action, command.chosenCriu(), action + " it", null, PodmanCheckpoint.defaults());

        assertThat(directory.resolve("own")).hasContent(own);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Error: runtime crun does not support checkpoint/restore: no | for example runc (podman --runtime runc).",
                "Error: a complete checkpoint for this container cannot be found, cannot restore: stat /x | Checkpoint it before",
                "Error: checkpointing a container requires root | Run this as root.",
                "something | podman could not restore x: something.",
                "'' | podman could not restore x: it ended with status 125.",
            })
    void whyItFailedIsASentence(String complaint, String sentence) throws IOException {
        PodmanCommand command = command("printf '%s' '" + complaint + "' >&2; exit 125");

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> command.act(
                                "restore", command.chosenCriu(), "restore x", null, PodmanRestore.defaults(), "x")))
                .hasMessageStartingWith("podman could not restore x: ")
                .hasMessageContaining(sentence);
    }

    @Test
    void itsFirstErrorIsTold() throws IOException {
        PodmanCommand command = command("echo '" + STATISTICS + "'; echo 'level=warning' >&2\n"
                + "echo 'Error: no luck.' >&2; echo 'log file: x' >&2; exit 125");

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> command.act(
                                "restore", command.chosenCriu(), "restore x", null, PodmanRestore.defaults(), "x")))
                .hasMessage("podman could not restore x: no luck.");
    }

    @Test
    void criusNewLogIsReadAndAnOldOneIsNot() throws IOException {
        Path log = directory.resolve("dump.log");
        Files.writeString(log, "Error (criu/a.c:1): of before\n");
        Files.setLastModifiedTime(log, FileTime.fromMillis(1000));
        PodmanCommand silent = command("exit 125");

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> silent.act(
                                "checkpoint",
                                silent.chosenCriu(),
                                "checkpoint x",
                                log,
                                PodmanCheckpoint.defaults(),
                                "x")))
                .hasMessage("podman could not checkpoint x: it ended with status 125.");

        PodmanCommand writing =
                command("echo 'Error (criu/a.c:1): odd' > " + log + "; echo 'Error: no luck' >&2; exit 125");
        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> writing.act(
                                "checkpoint",
                                writing.chosenCriu(),
                                "checkpoint x",
                                log,
                                PodmanCheckpoint.defaults(),
                                "x")))
                .hasMessageStartingWith("podman could not checkpoint x: no luck. CRIU says: odd.")
                .hasMessageEndingWith(" CRIU's log is " + log + ".");
    }

    @Test
    void aLogThatIsGoneIsNotNamed() throws IOException {
        Path log = directory.resolve("dump.log");
        Files.writeString(log, "Error (criu/a.c:1): of before\n");
        PodmanCommand removing = command("rm " + log + "; exit 125");

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> removing.act(
                                "checkpoint",
                                removing.chosenCriu(),
                                "checkpoint x",
                                log,
                                PodmanCheckpoint.defaults(),
                                "x")))
                .hasMessage("podman could not checkpoint x: it ended with status 125.");
    }

    @Test
    void oneThatTakesTooLongIsKilled() throws IOException {
        PodmanCommand command = command("exec sleep 600");

        assertThat(Failures.failure(
                        Problem.TOOL,
                        () -> command.act(
                                "checkpoint",
                                command.chosenCriu(),
                                "checkpoint x",
                                null,
                                PodmanCheckpoint.defaults().limit(Duration.ofMillis(500)),
                                "x")))
                .hasMessage("podman could not checkpoint x within 0.5 s, and was killed: give it more time.");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "[{}]", "{", "[{\"Id\": 1, \"Name\": []}]", "null"})
    void anAnswerThatMakesNoSense(String answer) throws IOException {
        PodmanCommand command = command("echo '" + answer + "'");

        assertThat(Failures.failure(Problem.TOOL, () -> Container.of(command, "x")))
                .hasMessageStartingWith(
                        "podman could not inspect container x: its answer is not that of `podman container inspect`");
    }

    @Test
    void containersThatDoNotRun() throws IOException {
        PodmanCommand command =
                command("echo '[{\"Id\": \"0123\", \"Name\": \"x\", \"State\": {\"Status\": \"created\"}}]'");

        assertThat(Container.of(command, "x")).isEqualTo(new Container("0123", "x", "created", null, Map.of()));
        assertThat(Failures.failure(Problem.TOOL, () -> Container.running(command, "x")))
                .hasMessage("Container x is created, not running: start it first.");
        Failures.failure(
                Problem.TOOL_MISSING, () -> Podman.at(directory.resolve("none")).processes("x"));
    }

    @Test
    void processesAreReadFromTheTable() {
        assertThat(PodmanProcess.parse("HPID  PID  COMMAND\n4711   1   python serve.py  --fast\n4712 17 \n? 3 x\n"))
                .containsExactly(
                        new PodmanProcess(4711, 1, "python serve.py  --fast"), new PodmanProcess(4712, 17, ""));
        assertThat(PodmanProcess.parse("")).isEmpty();
    }

    @Test
    void optionsArePodmansOwn() {
        assertThat(PodmanCheckpoint.defaults()).hasToString("");
        assertThat(PodmanCheckpoint.defaults()
                        .keep()
                        .tcpEstablished()
                        .fileLocks()
                        .ignoreRootfs()
                        .ignoreVolumes()
                        .leaveRunning()
                        .preCheckpoint()
                        .withPrevious()
                        .export(Path.of("/x.tar"))
                        .compress(PodmanCheckpoint.Compression.GZIP)
                        .arguments("--create-image", "y"))
                .hasToString("--keep --tcp-established --file-locks --ignore-rootfs --ignore-volumes --leave-running"
                        + " --pre-checkpoint --with-previous --export /x.tar --compress gzip --create-image y");
        assertThat(PodmanRestore.defaults()
                        .name("n")
                        .pod("p")
                        .publish("80:8000")
                        .importPrevious(Path.of("/p.tar"))
                        .ignoreStaticIp()
                        .ignoreStaticMac())
                .hasToString("--name n --pod p --publish 80:8000 --import-previous /p.tar --ignore-static-ip"
                        + " --ignore-static-mac");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PodmanCheckpoint.defaults().suspend(Suspend.to(Level.PARK)));
    }

    @Test
    void theShimIsMountedFromItsRealPath() throws IOException {
        Path library = Files.copy(Shim.extract().library(), directory.resolve("libtorpor.so"));
        Path link = Files.createSymbolicLink(directory.resolve("link.so"), library);
        ShimOptions options = ShimOptions.defaults().copyStreams(4).lean(true);

        List<String> arguments = Podman.runArguments(Shim.at(link), options);

        assertThat(arguments.subList(0, 6))
                .containsExactly(
                        "--mount",
                        "type=bind,source=" + library.toRealPath() + ",destination=/opt/torpor/libtorpor.so,readonly",
                        "--env",
                        "LD_PRELOAD=/opt/torpor/libtorpor.so",
                        "--env",
                        "TORPOR_COPY_STREAMS=4");
        assertThat(arguments).contains("CUDA_DEVICE_MAX_CONNECTIONS=1").hasSize(10);
        Path odd = Files.move(library, directory.resolve("a,b.so"));
        assertThatIllegalArgumentException().isThrownBy(() -> Podman.runArguments(Shim.at(odd), options));
    }
}
