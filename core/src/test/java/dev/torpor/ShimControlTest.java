package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands, and what can go wrong with the answers. */
class ShimControlTest {
    @TempDir
    private Path directory = Path.of("");

    private FakeShim fake;

    @BeforeEach
    void begin() throws IOException {
        fake = new FakeShim(directory);
    }

    @AfterEach
    void end() {
        fake.close();
    }

    @Test
    void everyCommandHasItsAnswer() {
        ShimControl shim = fake.control();
        assertThat(shim.status())
                .isEqualTo(new ShimStatus(
                        "9.9",
                        shim.pid(),
                        ProcessState.RUNNING,
                        1 << 20,
                        0,
                        0,
                        0,
                        0,
                        0,
                        OptionalLong.of(0),
                        Map.of(FakeDriver.GPU, new ShimStatus.DeviceBytes(0, 0))));
        Phase prepared = shim.prepare();
        assertThat(prepared.bytes()).hasValue(1 << 20);
        assertThat(prepared).hasToString("prepare 500 ms (0.0 GB/s)");
        Phase park = shim.park(Duration.ofNanos(1));
        assertThat(park.name()).isEqualTo("park");
        assertThat(park.duration()).isEqualTo(Duration.ofNanos(192_100_000));
        assertThat(park.parts()).extracting(Phase::name).containsExactly("wait", "arena", "copy", "release");
        assertThat(shim.status().state()).isEqualTo(ProcessState.PARKED);
        assertThat(shim.status().parkedBytes()).isEqualTo(1 << 20);
        assertThat(shim.unpark().parts()).extracting(Phase::name).containsExactly("map", "copy");
        assertThat(shim.release()).isEqualTo(1 << 20);
        assertThat(shim.statistics().values()).containsEntry("to_device_gbps", "12.5");
        assertThat(fake.heard).contains("park timeout-ms=1");
        shim.park(Duration.ofHours(1), Path.of("/dev/shm/a b=c"));
        assertThat(fake.heard).contains("park timeout-ms=3600000 arena=/dev/shm/a b=c");
        assertThat(shim).hasToString("the shim of process " + shim.pid());
    }

    @Test
    void whatTheProtocolCannotSayIsRefused() {
        ShimControl shim = fake.control();
        for (Duration wrong : List.of(Duration.ofNanos(-1), Duration.ofHours(1).plusNanos(1))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> shim.park(wrong))
                    .withMessageContaining("use 0 to 1 h");
        }
        for (String wrong : List.of("arena", "/a\nunpark")) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> shim.park(Duration.ZERO, Path.of(wrong)))
                    .withMessageContaining("absolute path of one line");
        }
        assertThatIllegalArgumentException().isThrownBy(() -> shim.answerWithin(Duration.ZERO));
        assertThat(fake.heard).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "park, busy It is busy., LOCK_TIMEOUT, 'busy, It is busy. Try again when it is idle'",
        "unpark, busy Another command is at it., WRONG_STATE, Try again when it is done",
        "park, parked It is., WRONG_STATE, Ask for its state",
        "unpark, running It is., WRONG_STATE, Ask for its state",
        "unpark, device-memory missing=3221225472 Device 0 is full., DEVICE_MEMORY, 3.0 GiB of device memory are missing",
        "unpark, device-memory Device 0 is full., DEVICE_MEMORY, Free device memory",
        "park, host-memory There is none., HOST_MEMORY, Free host memory",
        "park, arena The disk is full., ARENA, Name a folder",
        "park, driver cuMemCreate answered 999, DRIVER, 'driver, cuMemCreate answered 999.'",
        "park, off TORPOR_PARK=0, NOT_SUPPORTED, be started with parking allowed",
        "park, argument Not like that., SHIM, Restart the process",
        "prepare, unknown No such command., SHIM, Restart the process",
        "status, permission Not you., NO_PERMISSION, Run as the user",
        "stats, newer Words of tomorrow., SHIM, 'newer, Words of tomorrow. Restart the process'",
    })
    void whatTheShimRefusesHasItsProblem(String command, String error, Problem problem, String words) {
        fake.refuse(command, error);
        assertThat(failure(problem, () -> call(command)))
                .hasMessageStartingWith(
                        command + "(pid " + ProcessHandle.current().pid() + ") failed: ")
                .hasMessageContaining(words);
    }

    private Object call(String command) {
        ShimControl shim = fake.control().answerWithin(Duration.ofMillis(300));
        return switch (command) {
            case "status" -> shim.status();
            case "prepare" -> shim.prepare();
            case "park" -> shim.park(Duration.ZERO);
            case "unpark" -> shim.unpark();
            case "release" -> shim.release();
            default -> shim.statistics();
        };
    }

    @ParameterizedTest
    @ValueSource(strings = {"status", "prepare", "park", "unpark", "release", "stats"})
    void anAnswerThatIsNoneIsTold(String command) {
        fake.state = command.equals("unpark") ? "parked" : "running";
        fake.say(command, FakeShim.SILENCE);
        assertThat(failure(Problem.UNRESPONSIVE, () -> call(command))).hasMessageContaining("within 300 ms");
        fake.say(command, "ok byt");
        assertThat(failure(Problem.SHIM, () -> call(command))).hasMessageContaining("ended before the answer did");
        fake.say(command, "");
        assertThat(failure(Problem.SHIM, () -> call(command))).hasMessageContaining("ended before the answer did");
        fake.say(command, "\u001b[31mHello there, " + "how are you? ".repeat(50) + "\n");
        assertThat(failure(Problem.SHIM, () -> call(command)))
                .hasMessageContaining("'?[31mHello there")
                .hasMessageMatching("(?s).{1,300}");
        fake.say(command, "ok" + " x=1".repeat(50_000));
        failure(Problem.SHIM, () -> call(command));
        fake.heal();
        assertThat(call(command)).isNotNull();
    }

    @ParameterizedTest
    @CsvSource({"status, state", "prepare, seconds", "park, seconds", "unpark, seconds", "release, arena_bytes"})
    void anAnswerThatLacksWhatMatters(String command, String name) {
        fake.say(command, "ok x=1\n");
        assertThat(failure(Problem.SHIM, () -> call(command))).hasMessageContaining("lacks " + name);
    }

    @Test
    void anInterruptStaysAndDisturbsNothing() {
        Thread.currentThread().interrupt();
        assertThat(fake.control().status().state()).isEqualTo(ProcessState.RUNNING);
        fake.say("status", FakeShim.SILENCE);
        failure(Problem.UNRESPONSIVE, () -> call("status"));
        assertThat(Thread.interrupted()).isTrue();
    }

    @Test
    void whereNothingListensTheProcessIsSaidToCarryNoShim() {
        fake.close();
        assertThat(failure(Problem.NO_SHIM, () -> call("status")))
                .hasMessageContaining("nothing listens at " + fake.socket)
                .hasMessageContaining("start it with `torpor run`");
    }

    @Test
    void aSocketThatNobodyServesAnyMoreIsNone() throws IOException {
        Path socket = fake.socket;
        Path kept = directory.resolve("kept");
        Files.createLink(kept, socket);
        fake.close();
        Files.move(kept, socket);
        failure(Problem.NO_SHIM, () -> call("status"));
    }

    @Test
    void anotherProcessThatAnswersInItsPlaceIsNotListenedTo() {
        fake.innerPid = 1;
        assertThat(failure(Problem.NO_SHIM, () -> call("status"))).hasMessageContaining("process 1 answers at ");
    }

    @Test
    void aFolderThatOthersMayWriteToIsLeftAlone() throws IOException {
        Files.setPosixFilePermissions(fake.folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThat(failure(Problem.NO_SHIM, () -> call("status")))
                .hasMessageContaining("others than its user may write to");
        assertThat(fake.heard).isEmpty();
    }

    @Test
    void aFileInItsPlaceIsNoSocket() throws IOException {
        fake.close();
        Files.createFile(fake.socket);
        assertThat(failure(Problem.NO_SHIM, () -> call("status"))).hasMessageContaining("is no socket");
    }

    @Test
    void anotherProcessIsRefused() {
        ShimControl shim = ShimControl.of(fake.proc(), ProcessHandle.current().pid(), 1);
        failure(Problem.PROCESS_REPLACED, shim::status);
        failure(Problem.NO_SUCH_PROCESS, () -> Shim.control(4_194_305));
        assertThat(failure(Problem.NO_SHIM, () -> fake.control().loaded())).hasMessageContaining("carries no shim");
    }
}
