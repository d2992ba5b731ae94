package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.torpor.Shim;
import dev.torpor.contract.Machine;
import dev.torpor.contract.NeedsPodman;
import dev.torpor.contract.Programs;
import dev.torpor.contract.TargetContainer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PodmanCommandsTest {
    @TempDir
    private Path directory;

    @Test
    @NeedsPodman
    void aContainerGoesIntoACheckpointAndBack() {
        Machine.assumeSimulator("a container that reaches a GPU is the kit's matter");
        String arguments = Cli.bare("podman", "run-args").succeeds().out().strip();
        try (TargetContainer container = TargetContainer.start(directory, List.of(arguments.split(" ")))) {
            JsonObject down = torpor("podman", "checkpoint", "--json", "--keep", container.name())
                    .object();
            assertThat(down.getAsJsonArray("suspended")).hasSize(1);
            assertThat(down.getAsJsonArray("resumed")).isEmpty();
            assertThat(down.get("pagesWritten").getAsLong()).isPositive();
            assertThat(down.get("totalMs").getAsDouble())
                    .isGreaterThan(down.get("podmanMs").getAsDouble());

            assertThat(torpor("podman", "restore", container.name()).succeeds().out())
                    .startsWith("SIMULATED: 1 GPU process resumed, podman ");
            container.assertMemoryIntact();

            JsonObject again = torpor(
                            "podman", "checkpoint", "--json", "--leave-running", "--driver-only", container.name())
                    .object();
            assertThat(again.getAsJsonArray("resumed")).hasSize(1);
            container.assertMemoryIntact();
        }
    }

    @Test
    @NeedsPodman
    void failuresHaveTheirExitCodes() {
        Programs.podman();
        assertThat(torpor("podman", "checkpoint", "nosuch").fails(ExitCode.TOOL).err())
                .contains("no such container");
        assertThat(torpor(
                                "podman",
                                "restore",
                                "--import",
                                directory.resolve("none").toString())
                        .fails(ExitCode.SNAPSHOT)
                        .err())
                .contains("There is no file ");
    }

    @Test
    void argumentsOfPodmanRun(@TempDir Path place) throws Exception {
        Path shim = Files.createDirectory(place.resolve("a place")).resolve("libtorpor.so");
        Files.copy(Shim.extract().library(), shim);
        assertThat(Cli.bare("podman", "run-args", "--shim", shim.toString())
                        .succeeds()
                        .out())
                .startsWith("--mount 'type=bind,source=" + shim.toRealPath() + ",destination=");
        assertThat(Cli.bare("podman", "run-args", "--lean", "--streams", "4")
                        .succeeds()
                        .out())
                .startsWith("--mount type=bind,source=/")
                .contains(" --env LD_PRELOAD=/opt/torpor/libtorpor.so --env TORPOR_COPY_STREAMS=4 ")
                .contains(" --env CUDA_DEVICE_MAX_CONNECTIONS=1");
        assertThat(Cli.bare("podman", "run-args", "--json").array().get(0).getAsString())
                .isEqualTo("--mount");
    }

    @ParameterizedTest
    @CsvSource({
        "podman, Missing command after",
        "podman checkpoint, Missing required parameter",
        "podman checkpoint --compress much x, is not a compression",
        "podman checkpoint --limit 0 x, a limit of",
        "podman restore, Name a container",
        "podman restore --import a b, 'Name a container, or an archive'",
        "podman run-args --streams 0, --streams is from 1 to 64",
    })
    void aCommandLineThatCannotBeUnderstood(String arguments, String complaint) {
        assertThat(torpor(arguments.split(" ")).fails(ExitCode.USAGE).err()).contains(complaint);
    }
}
