package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.google.gson.JsonObject;
import dev.torpor.contract.Machine;
import dev.torpor.contract.Target;
import dev.torpor.mps.Mps;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MpsCommandTest {
    @TempDir
    private Path folder = Path.of("");

    private Mps mps = Mps.ofThisProcess();

    @BeforeEach
    void begin() {
        Machine.assumeSimulator("the stand-in for nvidia-cuda-mps-control");
        mps = Mps.at(folder.resolve("pipe"), folder.resolve("log"))
                .program(Machine.built("simulator/nvidia-cuda-mps-control"));
    }

    @AfterEach
    void end() {
        if (mps.status().running()) {
            mps.forceQuit(Duration.ZERO, Duration.ofSeconds(30));
        }
    }

    private Cli mps(String command, String... more) {
        List<String> words = new ArrayList<>(List.of(
                "mps",
                command,
                "--pipe",
                mps.pipeFolder().toString(),
                "--log",
                mps.logFolder().toString(),
                "--program",
                Machine.built("simulator/nvidia-cuda-mps-control").toString()));
        words.addAll(List.of(more));
        return Cli.bare(words.toArray(new String[0]));
    }

    private Target client() {
        Map<String, String> environment = new HashMap<>(mps.clientEnvironment());
        environment.put("TORPOR_SIM_MPS", "1");
        return Target.start(environment, "--memory", "8M");
    }

    @Test
    void theDaemonIsStartedToldOfAndStopped() {
        assertThat(mps("status").succeeds().out())
                .isEqualTo("absent: there is no control daemon at " + mps.pipeFolder() + "\n");
        assertThat(mps("start").succeeds().out())
                .startsWith("running: control daemon ")
                .contains("\nCUDA_MPS_LOG_DIRECTORY=" + mps.logFolder())
                .contains("\nCUDA_MPS_PIPE_DIRECTORY=" + mps.pipeFolder());
        assertThat(mps("start").fails(ExitCode.TOOL).err()).contains("No MPS control daemon was started: ");
        try (Target target = client()) {
            assertThat(mps("status").succeeds().out())
                    .startsWith("running: ")
                    .endsWith(": clients " + target.pid() + "\n")
                    .hasLineCount(2);
        }
        assertThat(mps("stop").succeeds().out()).startsWith("absent: ");
        assertThat(mps("stop").fails(ExitCode.TOOL).err()).contains("there is no control daemon at ");
    }

    @Test
    void theSameInJson() {
        JsonObject started = mps("start", "--json").object();
        assertThat(started.get("state").getAsString()).isEqualTo("running");
        assertThat(started.get("pid").getAsLong()).isEqualTo(mps.status().pid().orElseThrow());
        try (Target target = client()) {
            JsonObject status = mps("status", "--json").object();
            assertThat(status.get("pipe").getAsString())
                    .isEqualTo(mps.pipeFolder().toString());
            JsonObject server = status.getAsJsonArray("servers").get(0).getAsJsonObject();
            assertThat(server.getAsJsonArray("clients").get(0).getAsInt()).isEqualTo(target.pid());
        }
        assertThat(mps("stop", "--json").object().get("state").getAsString()).isEqualTo("absent");
        assertThat(mps("stop", "--json").error(ExitCode.TOOL).get("problem").getAsString())
                .isEqualTo("TOOL");
    }

    @Test
    void aStopWaitsForClientsUnlessItMayEndThem() {
        mps("start").succeeds();
        try (Target target = client()) {
            assertThat(mps("stop", "--timeout", "3s").fails(ExitCode.TOOL).err())
                    .contains("waits for process " + target.pid() + ":");
        }
        await().until(() -> !mps.status().running()); // it was told to go when its clients have
        mps("start").succeeds();
        try (Target target = client()) {
            assertThat(target.isAlive()).isTrue();
            mps("stop", "--force", "500ms").succeeds();
        }
    }

    @Test
    void aDaemonThatCannotBeAskedIsToldOfAllTheSame() {
        mps("start").succeeds();
        String missing = folder.resolve("nothing").toString();
        Cli status = Cli.bare("mps", "status", "--pipe", mps.pipeFolder().toString(), "--program", missing);
        assertThat(status.succeeds().out()).startsWith("running: ").contains(missing + " is not a program");
    }

    @Test
    void withoutTheProgramNothingStarts() {
        String missing = folder.resolve("nothing").toString();
        for (String command : List.of("start", "unit")) {
            JsonObject error = Cli.bare(
                            "mps", command, "--pipe", missing, "--log", missing, "--program", missing, "--json")
                    .error(ExitCode.TOOL);
            assertThat(error.get("problem").getAsString()).isEqualTo("TOOL_MISSING");
        }
    }

    @Test
    void theUnitIsPrinted() throws IOException {
        // A unit cannot name every path that a checkout may have.
        Path program =
                Files.createSymbolicLink(folder.resolve("daemon"), Machine.built("simulator/nvidia-cuda-mps-control"));
        String pipe = mps.pipeFolder().toString();
        String log = mps.logFolder().toString();
        assertThat(Cli.bare(
                                "mps",
                                "unit",
                                "--pipe",
                                pipe,
                                "--log",
                                log,
                                "--program",
                                program.toString(),
                                "--user",
                                "daemon")
                        .succeeds()
                        .out())
                .startsWith("[Unit]\n")
                .contains("\nUser=daemon\n", "\nExecStart=" + program + " -d\n")
                .endsWith("\nWantedBy=multi-user.target\n");
        assertThat(Cli.bare("mps", "unit", "--program", program.toString(), "--user", "a b")
                        .fails(ExitCode.USAGE)
                        .err())
                .contains("no name of a user");
        assertThat(Files.exists(mps.pipeFolder())).isFalse();
    }

    @Test
    void aWordIsMissing() {
        assertThat(Cli.bare("mps").fails(ExitCode.USAGE).err()).contains("Missing command", "torpor mps --help");
    }
}
