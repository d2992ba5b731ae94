package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.torpor.contract.Machine;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import picocli.CommandLine;
import picocli.CommandLine.ParseResult;

/** One run of the command line, in this process. */
record Cli(int code, String out, String err) {
    /** Against the tests' driver. */
    static Cli torpor(String... arguments) {
        List<String> all = new ArrayList<>(List.of("--library", Machine.libcuda()));
        all.addAll(List.of(arguments));
        return bare(all.toArray(new String[0]));
    }

    /** With these arguments alone. */
    static Cli bare(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine line = Torpor.commandLine();
        line.setOut(new PrintWriter(out, true));
        line.setErr(new PrintWriter(err, true));
        int code = line.execute(arguments);
        Cli run = new Cli(code, out.toString(), err.toString());
        if (List.of(arguments).contains("--json")) {
            JsonSchema.assertHolds(command(line), run.out);
        }
        return run;
    }

    /** Like {@code snapshot-save}; empty where the words name no command. */
    private static String command(CommandLine line) {
        StringJoiner name = new StringJoiner("-");
        ParseResult parsed = line.getParseResult();
        while (parsed != null && parsed.hasSubcommand()) {
            parsed = parsed.subcommand();
            name.add(parsed.commandSpec().name());
        }
        return name.toString();
    }

    /** It went well, and had nothing to say on stderr but that there is no GPU behind it. */
    Cli succeeds() {
        assertThat(this).isEqualTo(new Cli(0, out, err.equals(DriverCommand.SIMULATED + "\n") ? err : ""));
        return this;
    }

    /** The only element of the array that JSON is. */
    JsonObject only() {
        assertThat(array()).hasSize(1);
        return array().get(0).getAsJsonObject();
    }

    /** It ended with this code, and one line on stderr. */
    Cli fails(ExitCode expected) {
        assertThat(code).as(this::toString).isEqualTo(expected.code());
        assertThat(out).isEmpty();
        assertThat(err).startsWith("torpor: ").hasLineCount(1).endsWith(".\n");
        return this;
    }

    JsonObject object() {
        return json().getAsJsonObject();
    }

    JsonArray array() {
        return json().getAsJsonArray();
    }

    /** All of stdout is one value, and stderr is empty. */
    private JsonElement json() {
        assertThat(err).isEmpty();
        return JsonParser.parseString(out);
    }

    /** The error that JSON tells of, with the code that the program ended with. */
    JsonObject error(ExitCode expected) {
        assertThat(code).as(this::toString).isEqualTo(expected.code());
        JsonObject error = (json().isJsonArray() ? only() : object()).getAsJsonObject("error");
        assertThat(error.get("exitCode").getAsInt()).isEqualTo(code);
        assertThat(error.get("message").getAsString()).isNotBlank();
        return error;
    }
}
