package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.torpor.Shim;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the launcher is told to do; that it does so is tested with the launcher. */
class RunCommandTest {
    @TempDir
    private Path directory = Path.of("");

    @BeforeEach
    void asTheLauncher() {
        System.setProperty(RunCommand.LAUNCHER, "true");
    }

    @AfterEach
    void end() {
        System.clearProperty(RunCommand.LAUNCHER);
    }

    private static String preload() {
        return "LD_PRELOAD='" + Shim.extract().library() + "'";
    }

    @Test
    void theEnvironmentIsSetAndTheOptionsAreTakenAway() {
        assertThat(Cli.bare("run", "true").succeeds().out()).isEqualTo("export " + preload() + "; shift 1\n");
        assertThat(Cli.bare("run", "--", "true", "--", "-x").succeeds().out()).endsWith("; shift 2\n");
        assertThat(Cli.bare("run", "true", "--no-copy", "@file", "").succeeds().out())
                .isEqualTo("export " + preload() + "; shift 1\n");
    }

    @Test
    void everySettingHasAnOption() {
        assertThat(Cli.bare(
                                "run",
                                "--streams",
                                "3",
                                "--chunk=1M",
                                "--min",
                                "64K",
                                "--start",
                                "0",
                                "--idle",
                                "5s",
                                "--threads",
                                "2",
                                "--keep",
                                "3G",
                                "--log",
                                "info",
                                "--park-min",
                                "4M",
                                "--dir",
                                "/run/it's",
                                "--lean",
                                "--no-park",
                                "--no-rdma",
                                "--freed-keep",
                                "0",
                                "--no-arena-keep",
                                "--no-copy",
                                "--no-huge",
                                "true")
                        .succeeds()
                        .out())
                .contains(preload())
                .contains(" TORPOR_COPY_STREAMS='3'")
                .contains(" TORPOR_COPY_CHUNK='1M'")
                .contains(" TORPOR_COPY_MIN='64K'")
                .contains(" TORPOR_COPY_START='0'")
                .contains(" TORPOR_COPY_IDLE_MS='5000'")
                .contains(" TORPOR_BUFFER_THREADS='2'")
                .contains(" TORPOR_BUFFER_KEEP='3G'")
                .contains(" TORPOR_LOG='info'")
                .contains(" TORPOR_COPY='0'")
                .contains(" TORPOR_BUFFER_HUGE='0'")
                .contains(" TORPOR_PARK_MIN='4M'")
                .contains(" TORPOR_DIR='/run/it'\\''s'")
                .contains(" TORPOR_PARK='0'")
                .contains(" TORPOR_PARK_RDMA='0'")
                .contains(" TORPOR_FREED_KEEP='0'")
                .contains(" TORPOR_ARENA_KEEP='0'")
                .contains(" CUDA_DEVICE_MAX_CONNECTIONS='1'")
                .contains(" CUDA_SCALE_LAUNCH_QUEUES='0.25x'")
                .endsWith("; shift 28\n");
    }

    @Test
    void anotherShimMayBeNamedInAPathThatTheShellWouldTakeApart() throws IOException {
        Path named =
                Files.createDirectory(directory.resolve("it's; a_\"path\"")).resolve("libtorpor.so");
        Files.copy(Shim.extract().library(), named);
        Path quiet = Files.move(
                named, Files.createDirectory(directory.resolve("it's\"`;")).resolve("x.so"));
        assertThat(Cli.bare("run", "--shim", quiet.toString(), "true")
                        .succeeds()
                        .out())
                .startsWith("export LD_PRELOAD='" + directory + "/it'\\''s\"`;/x.so'; ");
        Files.copy(quiet, named);
        assertThat(Cli.bare("run", "--shim", named.toString(), "true")
                        .fails(ExitCode.USAGE)
                        .err())
                .contains("cannot be preloaded");
    }

    @ParameterizedTest
    @CsvSource({
        "run, Missing required parameter",
        "run --streams 0 true, --streams is from 1 to 64",
        "run --chunk 1K true, --chunk is from 64K to 64M",
        "run --keep much true, --keep is from 0 to 1T",
        "run --idle 2h true, '2h' is out of range: use 0 (never) to 1h",
        "run --idle soon true, is not a duration",
        "run --freed-keep -1 true, --freed-keep is from 0 to 1T",
        "run --park-min 1M true, --park-min is from 2M to 1T",
        "run --dir run true, --dir is an absolute path",
        "run --log debug true, '--log is off, warn or info'",
        "run --no-such true, Unknown option",
    })
    void aCommandLineThatCannotBeUnderstood(String arguments, String complaint) {
        assertThat(Cli.bare(arguments.split(" ")).fails(ExitCode.USAGE).err()).contains(complaint);
    }

    @Test
    void aFileThatIsNoShimIsRefused() throws IOException {
        Path file = Files.createFile(directory.resolve("libtorpor.so"));
        assertThat(Cli.bare("run", "--shim", file.toString(), "true")
                        .fails(ExitCode.NO_SHIM)
                        .err())
                .contains(file + " is not the shim");
    }

    @Test
    void aCommandThatCannotBeStartedEndsAsInAShell() throws IOException {
        Path file = Files.createFile(directory.resolve("text"));
        assertFails(127, "There is no program 'no-such-program' in PATH", "no-such-program");
        assertFails(127, "There is no file ./no-such-file", "./no-such-file");
        assertFails(126, file + " cannot be executed", file.toString());
        assertFails(126, directory + " cannot be executed", directory.toString());
    }

    private static void assertFails(int code, String sentence, String command) {
        Cli run = Cli.bare("run", command);
        assertThat(run.code()).isEqualTo(code);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).startsWith("torpor: " + sentence).hasLineCount(1);
        Cli json = Cli.bare("run", "--json", command);
        assertThat(json.code()).isEqualTo(code);
        JsonObject error = json.object().getAsJsonObject("error");
        assertThat(error.get("exitCode").getAsInt()).isEqualTo(code);
        assertThat(error.get("problem").getAsString()).isEqualTo("NOT_STARTED");
    }

    @Test
    void theLauncherKnowsWhichOptionsOfTorporTakeAValue() throws IOException {
        String launcher = Files.readString(Path.of("src/main/launcher/torpor"));
        String known = Torpor.commandLine().getCommandSpec().options().stream()
                .filter(option -> option.arity().min() > 0)
                .flatMap(option -> Arrays.stream(option.names()))
                .collect(Collectors.joining(" | "));
        assertThat(launcher).contains("        " + known + ") ");
    }

    @Test
    void withoutTheLauncherItSaysSo() {
        System.clearProperty(RunCommand.LAUNCHER);
        assertThat(Cli.bare("run", "true").fails(ExitCode.USAGE).err()).contains("torpor run [OPTIONS] -- COMMAND");
    }
}
