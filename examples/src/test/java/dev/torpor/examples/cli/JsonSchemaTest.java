package dev.torpor.examples.cli;

import static dev.torpor.examples.cli.Cli.torpor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

/** The helper {@link Cli} holds each output of each test against the schema; here the schema itself is tested. */
class JsonSchemaTest {
    private static JsonObject schema() throws IOException {
        return JsonParser.parseString(Files.readString(JsonSchema.FILE)).getAsJsonObject();
    }

    static Stream<String> commands() {
        List<String> names = new ArrayList<>();
        collect(Torpor.commandLine(), "", names);
        names.remove("run"); // prints nothing of its own
        return names.stream();
    }

    private static void collect(CommandLine line, String before, List<String> names) {
        for (Map.Entry<String, CommandLine> entry : line.getSubcommands().entrySet()) {
            String name = before + entry.getKey();
            if (entry.getValue().getSubcommands().isEmpty()) {
                names.add(name);
            } else {
                collect(entry.getValue(), name + "-", names);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("commands")
    void everyCommandHasItsAnswerInTheSchema(String command) throws IOException {
        assertThat(new TreeSet<>(schema().getAsJsonObject("$defs").keySet())).contains(command);
    }

    @Test
    void everyObjectOfTheSchemaRefusesUnknownKeys() throws IOException {
        assertClosed(schema());
    }

    private static void assertClosed(JsonElement node) {
        if (node instanceof JsonArray array) {
            array.forEach(JsonSchemaTest::assertClosed);
        } else if (node instanceof JsonObject object) {
            JsonElement type = object.get("type");
            if (type != null && type.isJsonPrimitive() && type.getAsString().equals("object")) {
                assertThat(object.get("additionalProperties")).as("%s", object).isNotNull();
                assertThat(object.get("additionalProperties").getAsBoolean()).isFalse();
            }
            object.entrySet().forEach(entry -> assertClosed(entry.getValue()));
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "state|[{\"pid\":7,\"state\":\"running\",\"simulated\":true,\"more\":1}]",
                "state|{\"pid\":7,\"state\":\"running\",\"simulated\":true}",
                "state|[{\"pid\":7}]",
                "release|[{\"pid\":7,\"operation\":\"release\",\"released_bytes\":1}]",
                "suspend|{\"error\":{\"problem\":\"DRIVER\"}}",
            })
    void whatDoesNotHoldIsRefused(String command, String output) {
        assertThatThrownBy(() -> JsonSchema.assertHolds(command, output + "\n")).isInstanceOf(AssertionError.class);
    }

    @Test
    void aSpeedIsLeftOutWhereNothingWasMovedOrInNoTime() {
        assertThat(new Phase("prepare", Duration.ofNanos(200), OptionalLong.of(1L << 34), List.of())
                        .gigabytesPerSecond())
                .isEmpty();
        assertThat(new Phase("park", Duration.ofMillis(5), OptionalLong.of(0), List.of()).gigabytesPerSecond())
                .isEmpty();
        assertThat(new Phase("park", Duration.ofSeconds(1), OptionalLong.of(2_000_000_000), List.of())
                        .gigabytesPerSecond())
                .hasValue(2);
    }

    @ParameterizedTest
    @CsvSource({
        "library load,libraryLoad",
        "cuMemAlloc(2 MiB),cuMemAlloc",
        "to_device_bytes,toDeviceBytes",
        "passed_small,passedSmall",
        "GPU,gpu",
        "persistence mode,persistenceMode",
        "Java,java",
        "park,park",
    })
    void namesAreOneWord(String name, String identifier) {
        assertThat(Json.identifier(name)).isEqualTo(identifier);
    }

    @Test
    void aFailureBeforeAnyProcessIsOneObject() {
        assertThat(torpor("state", "1", "--provider", "jni", "--json").object().has("error"))
                .isTrue();
    }
}
