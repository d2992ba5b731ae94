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
    @CsvSource({
        "init,6,C,|",
        "state,5,C,|",
        "start,17,C,|",
        "copy,8,to-gpu,to_device=",
        "checkpoint,8,plain,buffer_kept=",
        "park,14,'16 MiB, driver alone, later',unparked_bytes="
    })
    void eachBenchmarkGivesATableOnTheSimulator(String part, int rows, String name, String counted) throws IOException {
        assertThat(Bench.run(part, "--quick", "--simulator", "--out", out.toString()))
                .isZero();
        JsonObject json = JsonParser.parseString(Files.readString(out.resolve(part + ".json")))
                .getAsJsonObject();
        assertThat(json.get("simulated").getAsBoolean()).isTrue();
        assertThat(json.getAsJsonArray("rows")).hasSize(rows);
        for (JsonElement sample : json.getAsJsonArray("samples")) {
            assertMeasured(sample.getAsJsonObject());
        }
        assertThat(out.resolve("results.md"))
                .content()
                .contains("SIMULATED")
                .contains("| " + name + " |")
                .contains(counted); // by the shim
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
    void aRatioPairsValuesOfTheSameTurn() {
        Sample fast = new Sample("fast", "GB/s", List.of(20.0, 40.0, 60.0));
        Sample slow = new Sample("slow", "GB/s", List.of(10.0, 20.0, 20.0));
        assertThat(fast.over(slow).values()).containsExactly(2.0, 2.0, 3.0);
    }

    @Test
    void aGoalSaysWhetherItWasReached() {
        assertThat(Goal.atLeast("speed, GB/s,", 40, 44.125).text(false))
                .isEqualTo("Goal: speed, GB/s, at least 40.00: measured 44.13, reached: yes");
        assertThat(Goal.atMost("time", 0.58, 0.6).text(true))
                .isEqualTo("SIMULATED goal: time at most 0.58: measured 0.60, reached: no");
        assertThat(Goal.atLeast("speed", 1, Double.NaN).reached()).isFalse();
    }

    @Test
    void sizesHaveUnits() {
        assertThat(Settings.parse("copy", "--memory", "512M").memoryOr(1)).isEqualTo(512L << 20);
        assertThat(Settings.parse("copy").memoryOr(7)).isEqualTo(7);
        assertThatThrownBy(() -> Settings.parse("--memory", "big")).hasMessage("'big' is no size: 512M and 8G are.");
    }

    @Test
    void aMedianIsTheMiddleValue() {
        assertThat(new Sample("", "ms", List.of(3.0, 1.0, 2.0)).median()).isEqualTo(2);
    }

    @Test
    void aMedianOfAnEvenNumberIsHalfwayBetweenTheTwoInTheMiddle() {
        assertThat(new Sample("", "ms", List.of(4.0, 1.0, 2.0, 3.0)).median()).isEqualTo(2.5);
        assertThat(new Sample("", "ms", List.of(7.0)).median()).isEqualTo(7);
    }

    @Test
    void quantilesAreInterpolated() {
        Sample sample = new Sample("", "ms", List.of(5.0, 1.0, 3.0, 2.0, 4.0));
        assertThat(List.of(0.0, 0.25, 0.75, 0.9, 1.0))
                .extracting(sample::quantile)
                .containsExactly(1.0, 2.0, 4.0, 4.6, 5.0);
        assertThat(new Sample("", "ms", List.of(1.0, 2.0)).quantile(0.25)).isEqualTo(1.25);
        assertThat(new Sample("", "ms").median()).isNaN();
    }
}
