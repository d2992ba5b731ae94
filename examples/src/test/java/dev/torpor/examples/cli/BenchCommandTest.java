package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.Shim;
import dev.torpor.contract.Machine;
import dev.torpor.examples.Jvm;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The whole command, with little memory. */
@Timeout(120)
class BenchCommandTest {
    static final String TARGET = Machine.built("programs/torpor-target").toString();

    @TempDir
    private Path directory = Path.of("");

    static Cli bench(String... arguments) {
        List<String> all = new ArrayList<>(List.of("bench", "--warm-ups=0"));
        all.addAll(List.of(arguments));
        return torpor(all.toArray(new String[0]));
    }

    static JsonObject run(JsonObject bench, int number) {
        JsonObject level = bench.getAsJsonArray("levels").get(0).getAsJsonObject();
        return level.getAsJsonArray("runs").get(number).getAsJsonObject();
    }

    static JsonObject round(JsonObject run) {
        JsonArray rounds = run.getAsJsonArray("rounds");
        return rounds.get(0).getAsJsonObject();
    }

    static void assertNothingIsLeft() {
        assertThat(torpor("ps", "--json").array()).noneMatch(BenchCommandTest::isTarget);
    }

    private static boolean isTarget(JsonElement process) {
        return process.getAsJsonObject().get("command").getAsString().contains("torpor-target");
    }

    @Test
    void allVariantsAreMeasuredOrSayWhyNotAndAllIsWritten() throws IOException {
        Path out = directory.resolve("out");
        Cli bench =
                torpor("bench", "--target", TARGET, "--memory", "1234560", "--rounds", "1", "--out", out.toString());
        assertThat(bench.succeeds().out())
                .contains("checkpoint, round 1, all together: suspend ", "improvement", "baseline")
                .contains("SIMULATED: level checkpoint: torpor-target with 1.2 MiB")
                .contains("MPS, first skipped: the driver is the simulator, which has no MPS.");
        assertThat(out.resolve("bench.html")).content().contains("<svg", "SIMULATED");
        assertThat(out.resolve("bench.md")).content().contains("| run | total |", "SIMULATED");
        JsonObject json = JsonParser.parseString(Files.readString(out.resolve("bench.json")))
                .getAsJsonObject();
        assertThat(json.get("simulated").getAsBoolean()).isTrue();
        JsonObject together = run(json, 6);
        assertThat(together.get("run").getAsString()).isEqualTo("together");
        assertThat(round(together).get("unpark").getAsDouble()).isPositive();
        assertThat(round(together).get("firstVerifiedWord").getAsDouble())
                .isGreaterThan(round(together).get("total").getAsDouble());
        assertThat(together.get("verdict").getAsString()).isEqualTo("too few rounds");
        assertThat(round(run(json, 4)).get("unpark").getAsDouble()).isZero();
        assertNothingIsLeft();
    }

    @Test
    void aCommandIsReadyByItsWordsAndCheckedByAnother() {
        JsonObject json = bench(
                        "--json",
                        "--rounds",
                        "2",
                        "--variants",
                        "alone,alone",
                        "--ready",
                        "^READY",
                        "--check",
                        "[ -d /proc/$TORPOR_BENCH_ID ]",
                        "--",
                        TARGET,
                        "--memory",
                        "1234560")
                .object();
        assertThat(round(run(json, 0)).get("firstVerifiedWord").getAsDouble()).isPositive();
        assertThat(run(json, 0).has("verdict")).isFalse();
        assertThat(run(json, 1).get("verdict").getAsString()).isIn("faster", "slower", "within noise");
        assertNothingIsLeft();
    }

    /** The second command with the shim fails at its start. */
    @Test
    void whatFailsIsToldAndTheOthersGoOn() {
        String script = "case $LD_PRELOAD in *torpor*) echo 'no shim for me'; exit 1;; esac; exec '" + TARGET
                + "' --memory 1234560";
        Cli bench =
                bench("--rounds", "2", "--variants", "huge,alone,parked", "--ready", "READY", "--", "sh", "-c", script);
        assertThat(bench.code()).isEqualTo(ExitCode.TOOL.code());
        assertThat(bench.out())
                .contains("huge pages failed: sh (process ", "the last it said was: no shim for me")
                .contains("parked failed: ")
                .contains("checkpoint, round 2, alone: suspend ")
                .doesNotContain("round 2, parked")
                .containsPattern("\nalone .* no baseline\n");
        assertNothingIsLeft();
    }

    @Test
    void aCommandThatLosesTheShimIsNotMeasuredAsIfItHadIt() {
        List<String> words = new ArrayList<>(List.of("--rounds", "1", "--variants", "alone,huge,parked"));
        words.addAll(List.of("--ready", "^READY", "--", "env", "-u", "LD_PRELOAD", TARGET, "--memory", "1234560"));
        Cli bench = bench(words.toArray(new String[0]));
        assertThat(bench.code()).isNotEqualTo(ExitCode.OK.code());
        assertThat(bench.out())
                .contains("checkpoint, round 1, alone: suspend ")
                .containsPattern("huge pages failed: Process \\d+ does not carry the shim\\.")
                .containsPattern("parked failed: Process \\d+ was not parked: ");
        assertNothingIsLeft();
    }

    @Test
    void aCommandThatBringsTheShimAlongIsNotAlone() {
        List<String> words =
                new ArrayList<>(List.of("--rounds", "1", "--variants", "alone", "--ready", "^READY", "--"));
        words.addAll(List.of("env", "LD_PRELOAD=" + Shim.extract().library(), TARGET, "--memory", "1234560"));
        Cli bench = bench(words.toArray(new String[0]));
        assertThat(bench.code()).isNotEqualTo(ExitCode.OK.code());
        assertThat(bench.out()).containsPattern("alone failed: Process \\d+ carries the shim, and must not\\.");
        assertNothingIsLeft();
    }

    /** So that it goes with the folder of its round. */
    @Test
    void theSocketIsInAFolderOfItsOwn() {
        String check = "folder=$(tr '\\0' '\\n' < /proc/$TORPOR_BENCH_ID/environ | sed -n s/^TORPOR_DIR=//p);"
                + " [ -S $folder/$TORPOR_BENCH_ID.sock ] && [ -p $folder/in ]";
        List<String> words = new ArrayList<>(List.of("--rounds", "1", "--variants", "parked", "--ready", "^READY"));
        words.addAll(List.of("--check", check, "--", TARGET, "--memory", "1234560"));
        bench(words.toArray(new String[0])).succeeds();
        assertNothingIsLeft();
    }

    @Test
    void aCheckThatFailsEndsItsRunAndNothingStaysAsleep() {
        Cli bench = bench(
                "--variants",
                "alone",
                "--ready",
                "READY",
                "--check",
                "echo 'wrong answer'; exit 3",
                "--",
                TARGET,
                "--memory",
                "1234560");
        assertThat(bench.code()).isEqualTo(ExitCode.TOOL.code());
        assertThat(bench.out())
                .containsPattern("alone failed: The check .* failed after .* with status 3: wrong answer");
        assertNothingIsLeft();
    }

    @Test
    void interruptedItEndsWhatSleepsAndWritesWhatItKnows() throws Exception {
        Path out = directory.resolve("out");
        List<String> words = new ArrayList<>(List.of("--library", Machine.libcuda(), "bench", "--variants", "alone"));
        words.addAll(List.of("--rounds", "1000", "--memory", "1234560", "--target", TARGET, "--out", out.toString()));
        Process bench = new ProcessBuilder(Jvm.command(Torpor.class, words))
                .redirectErrorStream(true)
                .start();
        BufferedReader said = bench.inputReader();
        String line = said.readLine();
        while (line != null && !line.startsWith("checkpoint, round 1")) { // the JVM may have something to say before
            line = said.readLine();
        }
        assertThat(line).startsWith("checkpoint, round 1, alone: suspend ");
        bench.toHandle().destroy(); // which leaves its output open
        assertThat(said.lines()).contains("- It was interrupted: what is here was measured until then.");
        assertThat(bench.waitFor()).isEqualTo(128 + 15);
        assertThat(out.resolve("bench.html")).content().contains("It was interrupted");
        assertNothingIsLeft();
    }

    @Test
    void aProgramWithoutCudaIsNoWorkload() {
        Cli bench = bench("--variants", "alone", "--ready", "up", "--", "sh", "-c", "echo up; sleep 100");
        assertThat(bench.code()).isEqualTo(ExitCode.NO_PROCESS.code());
        assertThat(bench.out()).containsPattern("alone failed: Neither sh \\(process \\d+\\) nor one of its children");
    }

    @Test
    void aLevelThatCannotBeHadIsSkippedAndAWrongWordIsUsage() {
        Cli bench = bench("--level", "podman", "--variants", "alone");
        assertThat(bench.code()).isEqualTo(ExitCode.REFUSED.code());
        assertThat(bench.out()).contains("Skipped: no container was given");
        bench("--level", "deep").fails(ExitCode.USAGE);
        bench("--rounds", "0").fails(ExitCode.USAGE);
        bench("--", "sleep", "1").fails(ExitCode.USAGE);
        bench("--check", "true").fails(ExitCode.USAGE);
        bench("--out", "/dev/null/out").fails(ExitCode.USAGE);
        bench("--images", "/dev/null").fails(ExitCode.USAGE);
        bench("--target", "/nowhere", "--variants", "slow").fails(ExitCode.USAGE);
    }
}
