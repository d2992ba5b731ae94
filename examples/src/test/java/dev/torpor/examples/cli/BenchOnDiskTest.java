package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.BenchCommandTest.TARGET;
import static dev.torpor.examples.cli.BenchCommandTest.assertNothingIsLeft;
import static dev.torpor.examples.cli.BenchCommandTest.bench;
import static dev.torpor.examples.cli.BenchCommandTest.round;
import static dev.torpor.examples.cli.BenchCommandTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.torpor.contract.Machine;
import dev.torpor.contract.NeedsCriu;
import dev.torpor.contract.NeedsPodman;
import dev.torpor.contract.Programs;
import dev.torpor.contract.TargetContainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The levels at which a process leaves the host, by the real CRIU and podman. */
@Timeout(120)
class BenchOnDiskTest {
    @TempDir
    private Path directory = Path.of("");

    @Test
    @NeedsCriu
    void aSnapshotHasTheColumnsOfCriu() {
        Programs.criu();
        JsonObject json = bench(
                        "--json",
                        "--level",
                        "snapshot",
                        "--rounds",
                        "1",
                        "--variants",
                        "alone,parked",
                        "--target",
                        TARGET,
                        "--memory",
                        "1234560",
                        "--images",
                        directory.toString())
                .succeeds()
                .object();
        for (int i = 0; i < 2; i++) {
            JsonObject round = round(run(json, i));
            assertThat(round.get("pages").getAsDouble()).isPositive();
            assertThat(round.get("criuRestore").getAsDouble())
                    .isPositive()
                    .isLessThan(round.get("runtimeRestore").getAsDouble());
            assertThat(round.get("runtimeRestore").getAsDouble())
                    .isLessThan(round.get("total").getAsDouble());
            assertThat(round.get("firstVerifiedWord").getAsDouble()).isPositive();
            assertThat(round.get("imageBytes").getAsDouble()).isGreaterThan(1 << 20);
            assertThat(round.has("directRead")).isFalse();
        }
        assertThat(directory).isEmptyDirectory();
        assertNothingIsLeft();
    }

    /** On a disk, which the folder for temporary files may not be. */
    @Test
    @NeedsCriu
    void aColdSnapshotIsComparedWithADirectRead() throws IOException {
        Programs.criu();
        Path onDisk = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "images-");
        List<String> words = new ArrayList<>(List.of("--json", "--level", "snapshot-cold", "--rounds", "1"));
        words.addAll(List.of("--variants", "alone,parked", "--target", TARGET, "--memory", "16M"));
        words.addAll(List.of("--images", onDisk.toString()));
        JsonObject json = bench(words.toArray(new String[0])).succeeds().object();
        assertThat(round(run(json, 0)).has("directRead")).isFalse(); // nothing was parked
        assertThat(round(run(json, 1)).get("directRead").getAsDouble()).isPositive();
        assertThat(round(run(json, 1)).get("unpark").getAsDouble()).isPositive();
        assertThat(round(run(json, 1)).get("imageBytes").getAsDouble())
                .isPositive()
                .isLessThan(round(run(json, 0)).get("imageBytes").getAsDouble());
        Files.delete(onDisk); // nothing is left in it
    }

    @Test
    @NeedsCriu
    void aSnapshotInMemoryIsNeverCold() {
        Programs.criu();
        Cli bench =
                bench("--level", "snapshot-cold", "--variants", "alone", "--target", TARGET, "--images", "/dev/shm");
        assertThat(bench.code()).isEqualTo(ExitCode.REFUSED.code());
        assertThat(bench.out()).contains("Skipped: /dev/shm is in memory, as its file system is tmpfs.");
    }

    @Test
    @NeedsPodman
    void aContainerHasTheColumnsOfTheOriginalMeasurement() throws IOException {
        Machine.assumeSimulator("a container that reaches a GPU is another's matter");
        Path folder = Files.createDirectory(directory.resolve("container"));
        try (TargetContainer container = TargetContainer.start(folder, List.of())) {
            List<String> words = new ArrayList<>(List.of("--json", "--level", "podman", "--runtime", "runc"));
            words.addAll(List.of("--rounds", "1", "--variants", "alone,parked", "--ready", "^READY", "--"));
            words.addAll(container.arguments("sleep 1000000 | /opt/torpor-target --memory 16M"));
            JsonObject json = bench(words.toArray(new String[0])).succeeds().object();
            for (int i = 0; i < 2; i++) {
                JsonObject round = round(run(json, i));
                assertThat(round.get("pages").getAsDouble()).isPositive();
                assertThat(round.get("total").getAsDouble())
                        .isGreaterThan(round.get("runtimeRestore").getAsDouble());
            }
        }
        assertNothingIsLeft();
    }

    @Test
    @NeedsPodman
    @Timeout(60) // long before it has to be ready
    void aContainerThatEndsIsNotWaitedFor() throws IOException {
        Machine.assumeSimulator("a container that reaches a GPU is another's matter");
        Programs.criu();
        Path folder = Files.createDirectory(directory.resolve("container"));
        try (TargetContainer container = TargetContainer.start(folder, List.of())) {
            List<String> words = new ArrayList<>(List.of("--level", "podman", "--runtime", "runc"));
            words.addAll(List.of("--rounds", "1", "--variants", "alone", "--ready", "^READY", "--"));
            words.addAll(container.arguments("echo no model here; exit 1"));
            Cli bench = bench(words.toArray(new String[0]));
            assertThat(bench.code()).isEqualTo(ExitCode.TOOL.code());
            assertThat(bench.out())
                    .containsPattern(
                            "alone failed: Container torpor-bench-.* has ended and has not said what '\\^READY'")
                    .contains("the last it said was: no model here");
        }
    }
}
