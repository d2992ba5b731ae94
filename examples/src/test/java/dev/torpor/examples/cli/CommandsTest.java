package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.torpor.Shim;
import dev.torpor.contract.Machine;
import dev.torpor.contract.SimulatorFaults;
import dev.torpor.contract.Target;
import dev.torpor.driver.CudaResult;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CommandsTest {
    private static final String GPU_UUID = "GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

    private static String pid(Target target) {
        return Integer.toString(target.pid());
    }

    private static String said(String text) {
        return (Machine.simulated() ? "SIMULATED: " : "") + text;
    }

    @Test
    void devicesAreListedWithWhatIdentifiesThem() {
        Cli devices = torpor("devices").succeeds();
        String table = devices.out();
        assertThat(table)
                .containsPattern("GPU +UUID +NAME +MEMORY +FREE +COMPUTE")
                .containsPattern("0 +" + GPU_UUID);
        assertThat(table).startsWith("GPU ");
        assertThat(devices.err().startsWith("SIMULATED")).isEqualTo(Machine.simulated());
        JsonObject first = torpor("devices", "--json").array().get(0).getAsJsonObject();
        assertThat(first.get("ordinal").getAsInt()).isZero();
        assertThat(first.get("uuid").getAsString()).matches(GPU_UUID);
        assertThat(first.get("freeBytes").getAsLong())
                .isBetween(1L, first.get("totalBytes").getAsLong());
        assertThat(first.get("simulated").getAsBoolean()).isEqualTo(Machine.simulated());
    }

    @Test
    void psFindsRunningAndSuspendedProcesses() {
        try (Target running = Target.start("--memory", "8M");
                Target suspended = Target.start("--memory", "8M")) {
            torpor("suspend", pid(suspended)).succeeds();
            assertThat(torpor("ps").succeeds().out())
                    .containsPattern(pid(running) + " +running +[0-9.]+ [MG]iB +.*torpor-target --memory 8M")
                    .containsPattern(pid(suspended) + " +checkpointed +0 B +.*torpor-target --memory 8M");
            JsonObject listed = find(torpor("ps", "--json").array(), running.pid());
            assertThat(listed.get("state").getAsString()).isEqualTo("running");
            assertThat(listed.get("deviceBytes").getAsLong()).isGreaterThanOrEqualTo(running.bytes());
            assertThat(listed.getAsJsonObject("deviceMemory").keySet())
                    .singleElement()
                    .asString()
                    .matches(GPU_UUID);
            torpor("resume", pid(suspended)).succeeds();
            running.assertMemoryIntact();
            suspended.assertMemoryIntact();
        }
    }

    private static JsonObject find(Iterable<JsonElement> all, int pid) {
        return StreamSupport.stream(all.spliterator(), false)
                .map(JsonElement::getAsJsonObject)
                .filter(process -> process.get("pid").getAsInt() == pid)
                .findFirst()
                .orElseThrow();
    }

    @Test
    void stateIsOneWordForOneProcess() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("state", pid(target)).succeeds().out()).isEqualTo("running\n");
            JsonObject state = torpor("state", pid(target), "--step-timeout", "10s", "--json")
                    .only();
            assertThat(state.get("pid").getAsInt()).isEqualTo(target.pid());
            assertThat(state.get("state").getAsString()).isEqualTo("running");
            assertThat(state.has("shim")).isFalse();
            target.assertMemoryIntact();
        }
    }

    @Test
    void stateTellsWhichShimAProcessCarries() {
        Shim shim = Shim.extract();
        Map<String, String> environment = new HashMap<>();
        shim.preload(environment);
        try (Target target = Target.start(environment, "--memory", "8M")) {
            assertThat(torpor("state", pid(target)).succeeds().out())
                    .isEqualTo("running, shim " + shim.version() + "\n");
            JsonObject state = torpor("state", pid(target), "--json").only();
            assertThat(state.get("shim").getAsString()).isEqualTo(shim.version());
            assertThat(find(torpor("ps", "--json").array(), target.pid()).get("shim"))
                    .isEqualTo(state.get("shim"));
        }
    }

    @Test
    void suspendAndResumeReportTheirSteps() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("suspend", pid(target)).succeeds().out())
                    .startsWith(said("lock "))
                    .containsPattern("checkpoint .*; checkpointed\n$");
            assertThat(torpor("state", pid(target)).out()).startsWith("checkpointed");
            assertThat(torpor("resume", pid(target)).succeeds().out())
                    .startsWith(said("restore "))
                    .containsPattern("unlock .*; running\n$");
            target.assertMemoryIntact();
        }
    }

    @Test
    void reportsAsJsonHoldEveryPhase() {
        try (Target target = Target.start("--memory", "8M")) {
            JsonObject down = torpor("--json", "suspend", pid(target), "--timeout", "1m", "--step-timeout", "1m")
                    .only();
            assertThat(down.get("operation").getAsString()).isEqualTo("suspend");
            assertThat(down.get("start").getAsString()).isEqualTo("running");
            assertThat(down.get("state").getAsString()).isEqualTo("checkpointed");
            assertThat(down.get("deviceBytes").getAsLong()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(down.get("simulated").getAsBoolean()).isEqualTo(Machine.simulated());
            assertThat(down.get("totalMs").getAsDouble())
                    .isEqualTo(
                            down.get("driverMs").getAsDouble()
                                    + down.get("outsideDriverMs").getAsDouble(),
                            org.assertj.core.data.Offset.offset(1e-6));
            assertThat(names(down)).containsExactly("lock", "checkpoint");
            JsonObject up = torpor("resume", pid(target), "--no-memory-check", "--step-timeout", "1m", "--json")
                    .only();
            assertThat(names(up)).containsExactly("restore", "unlock");
            target.assertMemoryIntact();
        }
    }

    private static List<String> names(JsonObject report) {
        return StreamSupport.stream(report.getAsJsonArray("steps").spliterator(), false)
                .map(step -> step.getAsJsonObject().get("name").getAsString())
                .toList();
    }

    @Test
    void aSuspendWithoutTheShimSaysThatItWasTheDriversAlone() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("suspend", pid(target), "--level", "checkpoint", "--driver-only")
                            .succeeds()
                            .out())
                    .endsWith(", driver only; checkpointed\n");
            torpor("resume", pid(target)).succeeds();
            JsonObject down = torpor("suspend", pid(target), "--json").only();
            assertThat(down.get("driverOnly").getAsString()).startsWith("nothing listens at ");
            assertThat(torpor("resume", pid(target), "--json").only().has("driverOnly"))
                    .isFalse();
            target.assertMemoryIntact();
        }
    }

    @Test
    void toggleGoesToAndFro() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("toggle", pid(target)).succeeds().out()).endsWith("; checkpointed\n");
            assertThat(torpor("toggle", pid(target)).succeeds().out()).endsWith("; running\n");
            torpor("lock", pid(target)).succeeds();
            assertThat(torpor("toggle", pid(target)).succeeds().out()).endsWith("; running\n");
            target.assertMemoryIntact();
        }
    }

    @Test
    void theFourStepsCanBeTakenOneByOne() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("lock", pid(target), "--timeout", "0").succeeds().out())
                    .endsWith("; locked\n");
            assertThat(torpor("checkpoint", pid(target)).succeeds().out()).endsWith("; checkpointed\n");
            assertThat(torpor("restore", pid(target)).succeeds().out()).endsWith("; locked\n");
            assertThat(torpor("unlock", pid(target), "--json")
                            .only()
                            .get("state")
                            .getAsString())
                    .isEqualTo("running");
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"resume", "restore", "toggle"})
    void aDeviceMapMayNameOrdinalsOrUuids(String command) {
        String uuid = torpor("devices", "--json")
                .array()
                .get(0)
                .getAsJsonObject()
                .get("uuid")
                .getAsString();
        try (Target target = Target.start("--memory", "8M")) {
            torpor("suspend", pid(target)).succeeds();
            torpor(command, pid(target), "--device-map", "0=" + uuid).succeeds();
            if (command.equals("restore")) {
                torpor("unlock", pid(target)).succeeds();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void severalProcessesAreTakenInOrder() {
        try (Target one = Target.start("--memory", "8M");
                Target two = Target.start("--memory", "8M")) {
            assertThat(torpor("suspend", pid(one), pid(two)).succeeds().out().lines())
                    .hasSize(2)
                    .satisfies(lines -> assertThat(lines.get(0)).startsWith(pid(one) + ": "))
                    .satisfies(lines -> assertThat(lines.get(1)).startsWith(pid(two) + ": "));
            assertThat(torpor("resume", "--json", pid(two), pid(one)).array())
                    .extracting(up -> up.getAsJsonObject().get("pid").getAsInt())
                    .containsExactly(two.pid(), one.pid());
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void aPidThatIsGivenTwiceCountsOnce() {
        try (Target target = Target.start("--memory", "8M")) {
            assertThat(torpor("toggle", pid(target), pid(target)).succeeds().out())
                    .endsWith("; checkpointed\n");
            assertThat(torpor("resume", pid(target), pid(target)).succeeds().out())
                    .hasLineCount(1);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aStepThatFailsForOneIsUndoneForAll() {
        Machine.assumeSimulator("the driver must fail");
        Map<String, String> faults =
                new SimulatorFaults().fail("cuCheckpointProcessCheckpoint", 999).environment();
        try (Target one = Target.start("--memory", "8M");
                Target two = Target.start(faults, "--memory", "8M")) {
            Cli down = torpor("suspend", pid(one), pid(two));
            assertThat(down.code()).isEqualTo(ExitCode.DRIVER.code());
            assertThat(down.out()).isEmpty();
            assertThat(down.err())
                    .contains("Process " + pid(one) + " was not changed, since process " + pid(two))
                    .hasLineCount(2);
            Cli locked = torpor("lock", pid(one), "4194305", pid(two));
            assertThat(locked.code()).isEqualTo(ExitCode.NO_PROCESS.code());
            assertThat(locked.out()).hasLineCount(2);
            torpor("unlock", pid(two), pid(one)).succeeds();
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void toggleSwaps() {
        try (Target one = Target.start("--memory", "8M");
                Target two = Target.start("--memory", "8M")) {
            torpor("suspend", pid(two)).succeeds();
            assertThat(torpor("toggle", pid(two), pid(one)).succeeds().out())
                    .containsPattern(pid(two) + ": .*; running\n" + pid(one) + ": .*; checkpointed\n$");
            torpor("resume", pid(one)).succeeds();
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void aToggleThatCanWakeNoneLetsTheOthersRunOn() {
        Machine.assumeSimulator("the driver must fail");
        Map<String, String> faults = new SimulatorFaults()
                .fail("cuCheckpointProcessRestore#1", CudaResult.OPERATING_SYSTEM)
                .environment();
        try (Target one = Target.start("--memory", "8M");
                Target two = Target.start(faults, "--memory", "8M")) {
            torpor("suspend", pid(two)).succeeds();
            Cli toggled = torpor("toggle", pid(one), pid(two));
            assertThat(toggled.code()).isEqualTo(ExitCode.RESTORE_FAILED.code());
            assertThat(toggled.err())
                    .contains("Process " + pid(one) + " was suspended for process " + pid(two)
                            + ", which could not be resumed, and runs again.");
            one.assertMemoryIntact();
            torpor("resume", pid(two)).succeeds();
            two.assertMemoryIntact();
        }
    }

    @Test
    void warmupTimesEachPhase() {
        assertThat(torpor("warmup").succeeds().out())
                .startsWith(said("device 0: library load "))
                .contains("cuInit", "context retain", "first allocation");
        JsonObject report = torpor("warmup", "--device", "0", "--json").object();
        assertThat(report.get("totalMs").getAsDouble()).isPositive();
        assertThat(report.getAsJsonArray("phases")).hasSizeGreaterThanOrEqualTo(5);
    }

    @ParameterizedTest
    @ValueSource(strings = {"ffm", "jna"})
    void eitherBindingServes(String provider) {
        try (Target target = Target.start("--memory", "8M")) {
            torpor("--provider", provider, "suspend", pid(target)).succeeds();
            torpor("resume", pid(target), "--provider", provider).succeeds();
            target.assertMemoryIntact();
        }
    }

    @Test
    void helpNamesEveryCommandAndExitCode() {
        String help = Cli.bare("--help").succeeds().out();
        for (String command : Torpor.commandLine().getSubcommands().keySet()) {
            assertThat(help).contains("\n  " + command);
            assertThat(Cli.bare(command, "--help").succeeds().out()).contains("Usage: torpor " + command, "--json");
        }
        String unwrapped = help.replaceAll("\\s+", " ");
        for (ExitCode exit : ExitCode.values()) {
            assertThat(unwrapped).contains(" " + exit.code() + " " + exit.meaning());
        }
        assertThat(Cli.bare("--version").succeeds().out()).startsWith("torpor ");
    }
}
