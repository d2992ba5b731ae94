package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Machine;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** Every option and parameter of every command, with values that make no sense: the answer is a sentence without a word of Java. */
@Timeout(120)
class NonsenseTest {
    private static final String NOWHERE = "/proc/nowhere/x";
    private static final List<String> NUMBERS = List.of("nonsense", "-1", "1.5", "99999999999999999999", "0x10", "");
    private static final List<String> TIMES = List.of("nonsense", "10", "-5s", "999999999999h", "1.5s", "");
    private static final List<String> WORDS = List.of("nonsense", "@file", "a=b,c=d", "(", "");

    /** Class names, exceptions, methods, ISO durations, identity hash codes, and names of variables that stand for an option. */
    private static final Pattern JAVA = Pattern.compile(
            "(?<![/A-Za-z])[a-z]+\\.[a-z]+\\.[A-Za-z]|\\b[A-Za-z]+(Exception|Error)\\b|\\b[A-Z][a-z][A-Za-z]*\\.[a-z]+[A-Z(]"
                    + "|[a-z]\\(\\)|\\bPT-?\\d|@[0-9a-f]{5,}|\\b(int|long|boolean|null|String|Integer|Path)\\b(?! )"
                    + "|\\bTORPOR_(COPY|BUFFER|PARK|DIR|LOG|FREED|ARENA)");

    static Stream<CommandLine> commands() {
        List<CommandLine> all = new ArrayList<>();
        collect(Torpor.commandLine(), all);
        return all.stream();
    }

    private static void collect(CommandLine line, List<CommandLine> all) {
        for (Map.Entry<String, CommandLine> entry : line.getSubcommands().entrySet()) {
            if (entry.getValue().getSubcommands().isEmpty()) {
                all.add(entry.getValue());
            } else {
                collect(entry.getValue(), all);
            }
        }
    }

    static Stream<List<String>> nonsense() {
        return commands().flatMap(NonsenseTest::nonsense);
    }

    private static Stream<List<String>> nonsense(CommandLine command) {
        List<String> name = new ArrayList<>(
                Arrays.asList(command.getCommandSpec().qualifiedName().split(" ")));
        name.remove(0);
        Stream<List<String>> options = command.getCommandSpec().options().stream()
                .filter(option ->
                        option.arity().max() > 0 && !option.longestName().equals("--library"))
                .flatMap(option -> values(option).map(value -> withOption(command, name, option, value)));
        Stream<List<String>> parameters = command.getCommandSpec().positionalParameters().stream()
                .flatMap(parameter -> values(parameter).map(value -> withParameter(command, name, parameter, value)));
        return Stream.concat(options, parameters);
    }

    private static Stream<String> values(ArgSpec argument) {
        Class<?> type = argument.typeInfo().isMultiValue() ? argument.auxiliaryTypes()[0] : argument.type();
        if (type == Path.class) {
            return Stream.of(NOWHERE, "");
        }
        String label = argument.paramLabel();
        return (label.equals("TIME")
                        ? TIMES
                        : label.equals("N") || label.equals("PID") || label.equals("SIZE") ? NUMBERS : WORDS)
                .stream();
    }

    private static List<String> withOption(CommandLine command, List<String> name, OptionSpec option, String value) {
        List<String> words = start(command, name);
        words.add(option.longestName() + "=" + value);
        command.getCommandSpec().positionalParameters().stream()
                .filter(parameter -> parameter.arity().min() > 0)
                .forEach(parameter -> words.add(harmless(parameter)));
        return words;
    }

    private static List<String> withParameter(
            CommandLine command, List<String> name, PositionalParamSpec parameter, String value) {
        List<String> words = start(command, name);
        for (PositionalParamSpec each : command.getCommandSpec().positionalParameters()) {
            if (each.equals(parameter) || each.arity().min() > 0) {
                words.add(each.equals(parameter) ? value : harmless(each));
            }
        }
        return words;
    }

    /** Nothing is done: the processes, files and programs are not there, nor is the driver where the command takes no process. */
    private static List<String> start(CommandLine command, List<String> name) {
        List<String> words = new ArrayList<>(name);
        words.add("--library="
                + (command.getCommand() instanceof ProcessCommand ? Machine.libcuda() : "/nowhere/libcuda.so.1"));
        if (name.get(0).equals("mps")) {
            words.addAll(List.of("--program=" + NOWHERE, "--pipe=" + NOWHERE, "--log=" + NOWHERE));
        }
        return words;
    }

    private static String harmless(PositionalParamSpec parameter) {
        return parameter.paramLabel().equals("PID") ? "999999999" : NOWHERE;
    }

    @ParameterizedTest
    @MethodSource("nonsense")
    void theAnswerIsASentence(List<String> words) {
        Cli run = Cli.bare(words.toArray(new String[0]));
        assertThat(java(run.out() + run.err())).as("%s: %s", words, run).isEmpty();
        assertThat(run.code()).as("%s: %s", words, run).isNotEqualTo(ExitCode.UNEXPECTED.code());
        if (run.code() != 0) {
            assertThat(run.err())
                    .as("%s", words)
                    .startsWith("torpor: ")
                    .hasLineCount(1)
                    .endsWith(".\n");
        }
        List<String> more = new ArrayList<>(words);
        more.add(1, "--json"); // where the helper holds the answer against the schema
        assertThat(java(Cli.bare(more.toArray(new String[0])).out()))
                .as("%s", more)
                .isEmpty();
    }

    @ParameterizedTest
    @MethodSource("commands")
    void theHelpHasNoWordOfJava(CommandLine command) {
        String help = command.getUsageMessage(CommandLine.Help.Ansi.OFF);
        assertThat(java(help)).as(help).isEmpty();
        assertThat(help)
                .doesNotContainPattern("(?i)\\b(folder|anew|whoever|by turns|in place of)\\b")
                .doesNotContain("null");
    }

    private static List<String> java(String text) {
        return JAVA.matcher(text).results().map(MatchResult::group).toList();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'x' is not a long.",
                "use 0 to PT300000H",
                "java.nio.file.NoSuchFileException: /x",
                "Resume.storedAt says",
                "dev.torpor.Cuda@1b2c3d4e",
                "TORPOR_COPY_STREAMS is from 1 to 64",
                "call close() first",
            })
    void whatLeaksIsFound(String text) {
        assertThat(java(text)).isNotEmpty();
    }

    @Test
    void ordinarySentencesAreNoJava() {
        assertThat(
                        java(
                                "torpor: There is no process 4711: check the pid, `torpor ps` lists the CUDA processes. See docs/errors.md."))
                .isEmpty();
    }
}
