package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.contract.Detached;
import dev.torpor.contract.NeedsCriu;
import dev.torpor.contract.Programs;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotCommandTest {
    @TempDir
    private Path directory = Path.of("");

    private Detached start() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment, ShimOptions.defaults().folder(directory.resolve("run")));
        return Detached.start(directory, environment, "--memory", "8M");
    }

    @Test
    @NeedsCriu
    void aProcessIsSavedShownVerifiedAndLoaded() throws Exception {
        Programs.criu();
        String folder = directory.resolve("saved").toString();
        try (Detached target = start()) {
            String pid = Long.toString(target.pid());
            assertThat(torpor("snapshot", "save", pid, folder, "--leave-running")
                            .succeeds()
                            .out())
                    .containsPattern("^SIMULATED: check .*, suspend .*, dump .*, resume .*, seal .*\n$");
            target.assertMemoryIntact();
            torpor("snapshot", "save", pid, folder).fails(ExitCode.SNAPSHOT);
            torpor("snapshot", "load", folder).fails(ExitCode.SNAPSHOT);
            target.quit();
            assertThat(torpor("snapshot", "show", folder).succeeds().out())
                    .contains("needs ", pid + "  yes  running", "device-memory-" + pid);
            JsonObject shown = torpor("snapshot", "show", folder, "--json").object();
            assertThat(shown.get("sealed").getAsBoolean()).isTrue();
            assertThat(torpor("snapshot", "verify", folder).succeeds().out()).endsWith(" are as they were saved\n");
            JsonObject loaded =
                    torpor("snapshot", "load", folder, "--verify", "--json").object();
            assertThat(loaded.getAsJsonArray("pids").get(0).getAsLong()).isEqualTo(target.pid());
            assertThat(loaded.getAsJsonArray("phases")).hasSize(3);
            target.assertMemoryIntact();
        }
    }

    @Test
    void whatIsNoSnapshotIsSaid() throws Exception {
        torpor("snapshot", "show", directory.toString()).fails(ExitCode.SNAPSHOT);
        Files.writeString(directory.resolve("manifest.json.partial"), "{}");
        assertThat(torpor("snapshot", "verify", directory.toString())
                        .fails(ExitCode.SNAPSHOT)
                        .err())
                .contains("cut off");
        torpor("snapshot", "save", "999999999", directory.resolve("none").toString())
                .fails(ExitCode.NO_PROCESS);
        torpor("snapshot").fails(ExitCode.USAGE);
    }
}
