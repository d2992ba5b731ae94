package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.Problem;
import dev.torpor.contract.Machine;
import dev.torpor.contract.SimulatorFaults;
import dev.torpor.contract.Target;
import dev.torpor.driver.CudaResult;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ErrorsTest {
    private static final String NO_PID = "4194305"; // beyond the kernel's largest
    private static final int UNKNOWN_ERROR = 999;

    private static String pid(Target target) {
        return Integer.toString(target.pid());
    }

    private static Target with(SimulatorFaults faults) {
        Machine.assumeSimulator("the driver must fail");
        return Target.start(faults.environment(), "--memory", "8M");
    }

    @ParameterizedTest
    @EnumSource(Problem.class)
    void everyProblemHasOneExitCode(Problem problem) {
        assertThat(Arrays.stream(ExitCode.values())
                        .filter(exit -> exit.problems().contains(problem)))
                .singleElement()
                .isEqualTo(ExitCode.of(problem));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "state",
                "suspend",
                "resume",
                "toggle",
                "park",
                "unpark",
                "prepare",
                "release",
                "stats",
                "lock",
                "checkpoint",
                "restore",
                "unlock"
            })
    void aProcessThatIsNotThere(String command) {
        torpor(command, NO_PID).fails(ExitCode.NO_PROCESS);
        JsonObject error = torpor(command, NO_PID, "--json").error(ExitCode.NO_PROCESS);
        assertThat(error.get("problem").getAsString()).isEqualTo("NO_SUCH_PROCESS");
    }

    @Test
    void aProcessWithoutCuda() throws IOException {
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        try {
            String pid = Long.toString(sleeper.pid());
            assertThat(torpor("suspend", pid).fails(ExitCode.NO_PROCESS).err()).contains("has not initialised CUDA");
        } finally {
            sleeper.destroy();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "'',Missing command",
        "suspend,Missing required parameter",
        "suspend x,'x' is not a process id",
        "sleep 1,Unmatched argument",
        "suspend 1 --wait,Unknown option",
        "suspend 1 --timeout 10,is not a duration",
        "suspend 1 --timeout 1200h,out of range",
        "suspend 1 --step-timeout 0,out of range",
        "suspend 1 --level deep,'deep' is not a level: use park or checkpoint",
        "suspend 1 --level park --driver-only,exclude each other",
        "park 1 --arena file,absolute path of one line",
        "warmup --device x,is not a whole number",
    })
    void aCommandLineThatCannotBeUnderstood(String arguments, String complaint) {
        String[] words = arguments.isEmpty() ? new String[0] : arguments.split(" ");
        assertThat(torpor(words).fails(ExitCode.USAGE).err())
                .contains(complaint)
                .contains("--help");
        String[] more = Arrays.copyOf(words, words.length + 1);
        more[words.length] = "--json";
        assertThat(torpor(more).error(ExitCode.USAGE).get("problem").getAsString())
                .isEqualTo("USAGE");
    }

    @Test
    void noDriver() {
        assertThat(Cli.bare("ps", "--library", "/nowhere/libcuda.so.1")
                        .fails(ExitCode.NO_GPU)
                        .err())
                .contains("/nowhere/libcuda.so.1");
        assertThat(torpor("ps", "--provider", "jni").fails(ExitCode.NO_GPU).err())
                .contains("jni", "ffm", "jna");
        Cli.bare("devices", "--library", "/nowhere/libcuda.so.1", "--json").error(ExitCode.NO_GPU);
    }

    @Test
    void noSuchDevice() {
        torpor("warmup", "--device", "77").fails(ExitCode.NO_GPU);
        torpor("keep", "--device", "77", "--json").error(ExitCode.NO_GPU);
    }

    @Test
    void aProcessOfAnotherUser() {
        try (Target target =
                with(new SimulatorFaults().fail("cuCheckpointProcessGetState#1-2", CudaResult.OPERATING_SYSTEM))) {
            assertThat(torpor("suspend", pid(target))
                            .fails(ExitCode.NO_PERMISSION)
                            .err())
                    .contains("as root");
            torpor("state", pid(target), "--json").error(ExitCode.NO_PERMISSION);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aStateWhereItDoesNotBegin() {
        try (Target target = Target.start("--memory", "8M")) {
            torpor("resume", pid(target)).fails(ExitCode.WRONG_STATE);
            torpor("checkpoint", pid(target), "--json").error(ExitCode.WRONG_STATE);
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "0=7", "0=GPU-1", "0=0,0=0", "7=0"})
    void aDeviceMapThatMapsNothing(String map) {
        try (Target target = Target.start("--memory", "8M")) {
            torpor("suspend", pid(target)).succeeds();
            torpor("resume", pid(target), "--device-map", map).fails(ExitCode.REFUSED);
            torpor("resume", pid(target)).succeeds();
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"park", "suspend --level park", "unpark", "prepare", "release", "stats"})
    void aProcessWithoutAShim(String command) {
        try (Target target = Target.start("--memory", "8M")) {
            String[] words = (command + " " + target.pid()).split(" ");
            assertThat(torpor(words).fails(ExitCode.NO_SHIM).err())
                    .contains("start it with `torpor run`")
                    .contains("nothing listens at ");
            target.assertMemoryIntact();
        }
    }

    @Test
    void whatTheDriverCannotCheckpoint() {
        try (Target target = with(new SimulatorFaults().fail("cuCheckpointProcessLock", CudaResult.NOT_SUPPORTED))) {
            JsonObject error = torpor("suspend", pid(target), "--json").error(ExitCode.REFUSED);
            assertThat(error.get("problem").getAsString()).isEqualTo("NOT_SUPPORTED");
            assertThat(error.get("cudaResult").getAsInt()).isEqualTo(CudaResult.NOT_SUPPORTED);
            assertThat(error.get("state").getAsString()).isEqualTo("running");
            target.assertMemoryIntact();
        }
    }

    @Test
    void workThatDoesNotPauseInTime() {
        try (Target target = Target.start("--memory", "8M")) {
            target.tell("spin 5000");
            assertThat(torpor("suspend", pid(target), "--timeout", "50ms")
                            .fails(ExitCode.LOCK_TIMEOUT)
                            .err())
                    .endsWith("It is still running.\n");
            target.tell("sync");
            target.assertMemoryIntact();
        }
    }

    @Test
    void aRestoreThatFails() {
        try (Target target =
                with(new SimulatorFaults().fail("cuCheckpointProcessRestore#1", CudaResult.OUT_OF_MEMORY))) {
            torpor("suspend", pid(target)).succeeds();
            JsonObject error = torpor("resume", pid(target), "--json").error(ExitCode.RESTORE_FAILED);
            assertThat(error.get("state").getAsString()).isEqualTo("checkpointed");
            torpor("resume", pid(target)).succeeds();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aDriverThatDoesNotReturn() {
        try (Target target =
                with(new SimulatorFaults().delay("cuCheckpointProcessCheckpoint", Duration.ofSeconds(4)))) {
            torpor("suspend", pid(target), "--step-timeout", "1s").fails(ExitCode.UNRESPONSIVE);
            // This process lives on, and undoes the step when it has ended after all.
            await().until(() -> torpor("state", pid(target)).out(), out -> out.startsWith("running"));
            target.assertMemoryIntact();
        }
    }

    @Test
    void anotherErrorOfTheDriver() {
        try (Target target = with(new SimulatorFaults().fail("cuCheckpointProcessCheckpoint", UNKNOWN_ERROR))) {
            assertThat(torpor("suspend", pid(target)).fails(ExitCode.DRIVER).err())
                    .contains("CUDA_ERROR_UNKNOWN")
                    .endsWith("It is still running.\n");
            target.assertMemoryIntact();
        }
    }

    @Test
    void oneFailureDoesNotKeepTheNextProcessWaiting() {
        try (Target target = Target.start("--memory", "8M")) {
            Cli down = torpor("suspend", NO_PID, pid(target));
            assertThat(down.code()).isEqualTo(ExitCode.NO_PROCESS.code());
            assertThat(down.err())
                    .startsWith("torpor: There is no process " + NO_PID)
                    .hasLineCount(1);
            assertThat(down.out()).startsWith(pid(target) + ": ").endsWith("; checkpointed\n");
            Cli up = torpor("resume", NO_PID, pid(target), "--json");
            assertThat(up.code()).isEqualTo(ExitCode.NO_PROCESS.code());
            JsonArray all = up.array();
            assertThat(all.get(0).getAsJsonObject().get("pid").getAsString()).isEqualTo(NO_PID);
            assertThat(all.get(0).getAsJsonObject().has("error")).isTrue();
            assertThat(all.get(1).getAsJsonObject().get("state").getAsString()).isEqualTo("running");
            target.assertMemoryIntact();
        }
    }

    @Test
    void stackTracesAreShownOnRequest() {
        assertThat(torpor("suspend", NO_PID, "--trace").err()).contains("\tat dev.torpor.");
    }
}
