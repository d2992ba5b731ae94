package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.torpor.Shim;
import dev.torpor.contract.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands for a process that carries the real shim. */
class ParkCommandTest {
    @TempDir
    private Path directory = Path.of("");

    private static Target start() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment);
        return Target.start(environment, "--memory", "8M");
    }

    private static String pid(Target target) {
        return Integer.toString(target.pid());
    }

    @Test
    void parkAndUnparkReportWhatTheyMoved() {
        try (Target target = start()) {
            assertThat(torpor("park", pid(target), "--timeout", "5s").succeeds().out())
                    .containsPattern("park \\S+ m?s \\(\\S+ GB/s\\); parked\n$");
            assertThat(torpor("state", pid(target)).succeeds().out()).startsWith("parked");
            assertThat(torpor("ps").succeeds().out()).containsPattern(pid(target) + " +parked ");
            torpor("park", pid(target)).fails(ExitCode.WRONG_STATE);
            JsonObject up = torpor("unpark", pid(target), "--json").only();
            JsonObject step = up.getAsJsonArray("steps").get(0).getAsJsonObject();
            assertThat(step.get("name").getAsString()).isEqualTo("unpark");
            assertThat(step.get("bytes").getAsLong()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(step.get("gigabytesPerSecond").getAsDouble()).isPositive();
            assertThat(step.getAsJsonArray("parts")).isNotEmpty();
            target.assertMemoryIntact();
        }
    }

    @Test
    void suspendGoesToTheLevelThatIsNamed() {
        try (Target target = start()) {
            assertThat(torpor("suspend", pid(target), "--level", "park", "--arena", directory.toString())
                            .succeeds()
                            .out())
                    .endsWith("; parked\n");
            assertThat(torpor("toggle", pid(target)).succeeds().out()).endsWith("; running\n");
            assertThat(torpor("suspend", pid(target)).succeeds().out())
                    .contains("park ", "lock ", "checkpoint ")
                    .doesNotContain("driver only");
            assertThat(torpor("resume", pid(target)).succeeds().out())
                    .containsPattern("unpark \\S+ m?s \\(\\S+ GB/s\\); running\n$");
            target.assertMemoryIntact();
        }
    }

    @Test
    void severalProcessesAreParkedIntoDirectoriesOfTheirOwn() throws Exception {
        String files = Files.createDirectory(directory.resolve("files")).toString();
        try (Target one = start();
                Target two = start()) {
            torpor("park", "--arena", files, pid(one), pid(two)).succeeds();
            assertThat(directory.resolve("files").resolve(pid(one))).isNotEmptyDirectory();
            Files.move(Path.of(files), directory.resolve("moved"));
            Cli lost = torpor("resume", pid(one), pid(two));
            assertThat(lost.code()).isEqualTo(ExitCode.REFUSED.code());
            torpor("resume", "--stored-at", directory.resolve("moved").toString(), pid(one), pid(two))
                    .succeeds();
            torpor("suspend", "--arena", directory.resolve("moved").toString(), pid(two), "4194305");
            torpor("unpark", "--stored-at", "moved", pid(two)).fails(ExitCode.USAGE);
            torpor("resume", pid(two)).succeeds();
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void theShimsOwnCommands() {
        try (Target target = start()) {
            assertThat(torpor("prepare", pid(target)).succeeds().out())
                    .containsPattern("[0-9.]+ MiB of host memory are ready");
            assertThat(torpor("stats", pid(target)).succeeds().out()).contains("to_device=", "to_host=");
            JsonObject statistics = torpor("stats", pid(target), "--json").only();
            assertThat(statistics.get("pid").getAsInt()).isEqualTo(target.pid());
            assertThat(statistics
                            .getAsJsonObject("statistics")
                            .getAsJsonPrimitive("toDevice")
                            .isNumber())
                    .isTrue();
            assertThat(torpor("release", pid(target), "--json")
                            .only()
                            .get("releasedBytes")
                            .getAsLong())
                    .isGreaterThanOrEqualTo(target.bytes());
            target.assertMemoryIntact();
        }
    }
}
