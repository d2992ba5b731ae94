package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The sentences of this module are read by users of the library and of the command line, so they name what to do in words that both
 * know: no class or method of Java, and no option of the command line. Options of CRIU and podman have their own names.
 */
class SentencesTest {
    private static final Path SOURCES = Path.of("src/main/java/dev/torpor");
    private static final Pattern COMMENT = Pattern.compile("(?s)/\\*.*?\\*/|(?m)//.*$");
    private static final Pattern LITERAL = Pattern.compile("\"((?:[^\"\\\\\n]|\\\\.)*)\"");
    private static final Pattern METHOD =
            Pattern.compile("\\b[A-Z][A-Za-z]*[a-z]\\.(?!js\\b)[a-z][A-Za-z]*|[A-Za-z]\\(\\)");
    private static final Pattern CAMEL = Pattern.compile("(?<![A-Za-z/.{$])(?!cu[A-Z]|nvml)[a-z]+[A-Z][a-z]+");
    private static final Pattern EXCEPTION = Pattern.compile("[A-Za-z]+(Exception|Error)\\b|\\bjava[.]");
    private static final Pattern OPTION = Pattern.compile("(?<![A-Za-z-])--([a-z][a-z-]+)");
    private static final Set<String> OF_OTHER_PROGRAMS = Set.of(
            "tcp-established",
            "shell-job",
            "ext-unix-sk",
            "file-locks",
            "link-remap",
            "ghost-limit",
            "skip-file-rwx-check",
            "runtime");

    static List<Path> sources() throws IOException {
        try (Stream<Path> all = Files.walk(SOURCES)) {
            return all.filter(file -> file.toString().endsWith(".java")).toList();
        }
    }

    @ParameterizedTest
    @MethodSource("sources")
    void sentencesNameNoJavaAndNoOptions(Path source) throws IOException {
        Matcher literal =
                LITERAL.matcher(COMMENT.matcher(Files.readString(source)).replaceAll(""));
        while (literal.find()) {
            String text = literal.group(1);
            if (isSentence(text)) {
                assertThat(faults(text)).as(text).isEmpty();
            }
        }
    }

    /** Words, and not a pattern, a script or a name. */
    private static boolean isSentence(String text) {
        return text.matches("(?s).*[a-z] [a-z].*")
                && !text.contains("\\\\")
                && !text.contains("\\n")
                && !text.contains("$");
    }

    private static List<String> faults(String text) {
        List<String> faults = Stream.of(METHOD, CAMEL, EXCEPTION)
                .flatMap(pattern -> pattern.matcher(text).results())
                .map(MatchResult::group)
                .toList();
        return faults.isEmpty()
                ? OPTION.matcher(text)
                        .results()
                        .map(found -> found.group(1))
                        .filter(option -> !OF_OTHER_PROGRAMS.contains(option))
                        .toList()
                : faults;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Resume.storedAt says where the files are",
                "ask for shellJob, in the dump",
                "call close() at the end",
                "failed with java.io.IOException then",
                "a NoSuchFileException came of it",
                "map it with Load.onto, or --device-map",
            })
    void whatLeaksIsFound(String sentence) {
        assertThat(isSentence(sentence)).isTrue();
        assertThat(faults(sentence)).isNotEmpty();
    }

    @Test
    void wordsOfTheDriverAndOfOtherProgramsAreAllowed() {
        assertThat(
                        faults(
                                "cuCheckpointProcessLock of the driver failed: CUDA_ERROR_NOT_READY (600), see docs/errors.md."))
                .isEmpty();
        assertThat(faults("Ask for --tcp-established, in the dump and in the restore."))
                .isEmpty();
    }
}
