package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import dev.harrel.jsonschema.Validator;
import dev.harrel.jsonschema.ValidatorFactory;
import dev.harrel.jsonschema.providers.GsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;

/** Holds what the command line prints against the schema in the documentation. */
final class JsonSchema {
    static final Path FILE = Path.of("../docs/torpor.schema.json");
    private static final String ID = "urn:dev.torpor:command-line";
    private static final Validator VALIDATOR = validator();

    private JsonSchema() {}

    private static Validator validator() {
        try {
            Validator validator = new ValidatorFactory()
                    .withJsonNodeFactory(new GsonNode.Factory())
                    .createValidator();
            validator.registerSchema(Files.readString(FILE));
            return validator;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param command like {@code snapshot-save}; empty where no command was found */
    static void assertHolds(String command, String output) {
        assertThat(output).endsWith("\n");
        boolean failed = JsonParser.parseString(output).isJsonObject()
                && JsonParser.parseString(output).getAsJsonObject().has("error");
        String answer = failed ? "failure" : command;
        Validator.Result result;
        synchronized (VALIDATOR) {
            String schema = "{\"$ref\": \"" + ID + "#/$defs/" + answer + "\"}";
            result = VALIDATOR.validate(URI.create(register(answer, schema)), output);
        }
        assertThat(result.isValid())
                .as(() -> output
                        + result.getErrors().stream()
                                .map(error -> error.getInstanceLocation() + " " + error.getSchemaLocation() + " "
                                        + error.getError())
                                .toList())
                .isTrue();
    }

    private static String register(String answer, String schema) {
        String id = ID + ":" + answer;
        VALIDATOR.registerSchema(URI.create(id), schema);
        return id;
    }
}
