package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.contract.Machine;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class DemoTest {
    private static final String NATIVE =
            Machine.built("programs").resolve("..").normalize().toString();

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int demo(String... arguments) {
        Machine.environment(); // makes the simulator's directory
        CommandLine line = Demo.commandLine();
        line.setOut(new PrintWriter(out, true));
        line.setErr(new PrintWriter(err, true));
        List<String> all = new ArrayList<>(List.of("--native", NATIVE));
        all.add("--machine=" + (Machine.simulated() ? "simulator" : "gpu"));
        all.addAll(List.of(arguments));
        return line.execute(all.toArray(new String[0]));
    }

    @Test
    void twoRoundsLeaveEveryWordAsItWas(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("demo.json");
        assertThat(demo("--memory", "32M", "--json", file.toString()))
                .as(out + "" + err)
                .isZero();
        assertThat(out.toString())
                .contains("round 1, cold", "round 2, warm", "state     checkpointed", "All went well.")
                .containsPattern("check     OK words=" + (32 << 20) / 8);
        assertThat(out.toString().contains("S I M U L A T E D")).isEqualTo(Machine.simulated());
        JsonObject result = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        assertThat(result.get("ok").getAsBoolean()).isTrue();
        JsonArray rounds = result.getAsJsonArray("rounds");
        assertThat(rounds)
                .hasSize(2)
                .allSatisfy(round -> assertThat(
                                round.getAsJsonObject().get("verified").getAsBoolean())
                        .isTrue());
    }

    @Test
    void whatFailsIsASentenceAndACode(@TempDir Path empty) {
        assertThat(demo("--native", empty.toString())).isNotZero();
        assertThat(demo("--memory", "much")).isEqualTo(2);
    }

    @Test
    void aTargetThatDoesNotFitIsNoSuccess() {
        assertThat(demo("--memory", "3T")).isEqualTo(1);
        assertThat(err.toString()).startsWith("demo: torpor-target did not start: ERROR cuMemAlloc");
    }
}
