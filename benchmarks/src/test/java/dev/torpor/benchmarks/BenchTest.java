package dev.torpor.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchTest {
    @TempDir
    @SuppressWarnings("NullAway.Init")
    Path out;

    @ParameterizedTest
    @CsvSource({"init,6", "state,5", "start,17"})
    void eachBenchmarkGivesATableOnTheSimulator(String part, int rows) throws IOException {
        assertThat(Bench.run(part, "--quick", "--simulator", "--out", out.toString()))
                .isZero();
        JsonObject json = JsonParser.parseString(Files.readString(out.resolve(part + ".json")))
                .getAsJsonObject();
        assertThat(json.get("simulated").getAsBoolean()).isTrue();
        assertThat(json.getAsJsonArray("rows")).hasSize(rows);
        for (JsonElement sample : json.getAsJsonArray("samples")) {
            assertMeasured(sample.getAsJsonObject());
        }
        assertThat(out.resolve("results.md")).content().contains("SIMULATED").contains("| C |");
    }

    private static void assertMeasured(JsonObject sample) {
        JsonArray values = sample.getAsJsonArray("values");
        assertThat(values).as(sample.toString()).isNotEmpty();
        if (!sample.get("name").getAsString().endsWith(" above C")) {
            values.forEach(value -> assertThat(value.getAsDouble()).isNotNegative());
        }
    }

    @Test
    void anUnknownBenchmarkIsAnError() throws IOException {
        assertThat(Bench.run("warp")).isEqualTo(64);
        assertThatThrownBy(() -> Settings.parse("--rounds")).hasMessage("--rounds lacks its value");
    }

    @Test
    void aMedianIsTheMiddleValue() {
        assertThat(new Sample("", "ms", List.of(3.0, 1.0, 2.0)).median()).isEqualTo(2);
    }

    @Test
    void mpsIsLeftOutOnTheSimulatorWithAReason() {
        Machine machine = new Machine(true, "", 1, "", "", "", 1, "", "", "");
        assertThat(MpsDaemon.missing(machine)).hasValue("the simulator has no MPS daemon");
    }
}
