package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.Chars;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class ShellWordTest {
    @Test
    void aPathWithABlankIsQuotedAndAPlainOneIsNot() {
        assertThat(ShellWord.of("type=bind,source=/a/b-1.so")).isEqualTo("type=bind,source=/a/b-1.so");
        assertThat(ShellWord.of("/my files/x")).isEqualTo("'/my files/x'");
        assertThat(ShellWord.of("it's")).isEqualTo("'it'\\''s'");
        assertThat(ShellWord.of("")).isEqualTo("''");
    }

    @SuppressWarnings("OrphanedFormatString") // of printf(1)
    @Property(tries = 20)
    void aShellReadsBackWhatWasWritten(
            @ForAll @Size(max = 4)
                    List<@StringLength(max = 8) @AlphaChars @Chars({' ', '\'', '"', '$', '*', '\\', '~'}) String> words)
            throws Exception {
        StringBuilder script = new StringBuilder("printf '<%s>' : ");
        StringBuilder expected = new StringBuilder("<:>");
        for (String word : words) {
            script.append(ShellWord.of(word)).append(' ');
            expected.append('<').append(word).append('>');
        }
        Process shell = new ProcessBuilder("sh", "-c", script.toString()).start();
        assertThat(new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEqualTo(expected.toString());
    }
}
