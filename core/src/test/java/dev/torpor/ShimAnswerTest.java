package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShimAnswerTest {
    private static ShimAnswer parse(String line) {
        return Objects.requireNonNull(ShimAnswer.parse(line), line);
    }

    @Test
    void aSuccessHasItsValues() {
        ShimAnswer answer = parse("ok bytes=9328132096 state=parked copy_seconds=0.182211");
        assertThat(answer.ok()).isTrue();
        assertThat(answer.number("bytes")).hasValue(9_328_132_096L);
        assertThat(answer.nanos("copy_seconds")).hasValue(182_211_000L);
        assertThat(answer.values()).containsEntry("state", "parked").hasSize(3);
        assertThat(answer.number("state")).isEmpty();
        assertThat(answer.nanos("state")).isEmpty();
        assertThat(answer.number("blocks")).isEmpty();
        assertThat(parse("ok").values()).isEmpty();
        assertThat(parse("ok ").values()).isEmpty();
    }

    @Test
    void anErrorHasItsCodeAndSentence() {
        ShimAnswer answer = parse("error device-memory missing=2147483648 There is too little on device 0.");
        assertThat(answer.ok()).isFalse();
        assertThat(answer.code()).isEqualTo("device-memory");
        assertThat(answer.missing()).hasValue(2_147_483_648L);
        assertThat(answer.words()).isEqualTo("There is too little on device 0");
        ShimAnswer bare = parse("error busy");
        assertThat(bare.code()).isEqualTo("busy");
        assertThat(bare.words()).isEmpty();
        assertThat(bare.missing()).isEmpty();
        assertThat(parse("error device-memory missing=12").missing()).hasValue(12);
        assertThat(parse("error device-memory missing=much").missing()).isEmpty();
        assertThat(parse("error driver missing=99999999999999999999 x").missing())
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "o",
                "okay",
                "ok bytes",
                "ok =1",
                "ok bytes 1",
                "ok Bytes=1",
                " ok",
                "OK",
                "error",
                "error ",
                "error 1",
                "errors busy",
                "error Busy",
                "ok\tbytes=1",
                "ok bytes=1\u001b[2J",
                "error busy \u001b]0;title\u0007",
                "error aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee It is.",
                "HTTP/1.1 400 Bad Request"
            })
    void whatIsNoAnswerIsNone(String line) {
        assertThat(ShimAnswer.parse(line)).isNull();
    }

    @Property
    void anyTextIsAnAnswerOrNone(@ForAll String line) {
        ShimAnswer answer = ShimAnswer.parse(line);
        if (answer != null) {
            assertThat(line).startsWith(answer.ok() ? "ok" : "error " + answer.code());
            answer.values().keySet().forEach(name -> {
                assertThat(answer.number(name).orElse(0)).isNotNegative();
                assertThat(answer.nanos(name).orElse(0)).isNotNegative();
            });
            assertThat(answer.missing().orElse(0)).isNotNegative();
            assertThat(answer.words()).isNotNull();
        }
    }

    @Property
    void whatBeginsLikeAnAnswerIsNoMoreThanOne(@ForAll("heads") String head, @ForAll String rest) {
        anyTextIsAnAnswerOrNone(head + rest);
    }

    /** As long as a conversation allows: the other side may be a process of another user. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "ok",
                "ok ",
                "ok a=",
                "error busy ",
                "error busy missing=1",
                "error ",
                "error device-memory missing=",
                ""
            })
    void aLineOfAnyLengthIsRead(String head) {
        for (String part : new String[] {" a=1", " ", "a", "=", " a", "1", ".", "-", "é", " missing=1"}) {
            String line = head + part.repeat((1 << 16) / part.length());
            ShimAnswer answer = ShimAnswer.parse(line);
            anyTextIsAnAnswerOrNone(line);
            if (answer != null && !answer.ok()) {
                assertThat(answer.words()).hasSizeLessThan(1100);
            }
        }
        assertThat(parse("ok" + " a=1".repeat(16_000)).number("a")).hasValue(1);
    }

    @Property
    void anyMixtureOfWhatAnswersAreMadeOfIsAnAnswerOrNone(@ForAll("mixtures") String line) {
        anyTextIsAnAnswerOrNone(line);
    }

    @Provide
    Arbitrary<String> mixtures() {
        return Arbitraries.of(
                        "ok",
                        "error",
                        " ",
                        "=",
                        "a",
                        "missing=",
                        "9",
                        ".",
                        "-",
                        "_",
                        "busy",
                        "\n",
                        "\0",
                        "\u2028",
                        "😀")
                .list()
                .ofMaxSize(3000)
                .map(words -> String.join("", words));
    }

    @Provide
    Arbitrary<String> heads() {
        return Arbitraries.of("ok ", "ok bytes=", "error busy ", "error device-memory missing=", "ok x=1 y=");
    }

    @Provide
    Arbitrary<Map<String, Long>> values() {
        return Arbitraries.maps(
                        Arbitraries.strings()
                                .withChars("abcdefghijklmnopqrstuvwxyz0123456789_")
                                .ofMinLength(1)
                                .ofMaxLength(20)
                                .filter(name -> Character.isLetter(name.charAt(0))),
                        Arbitraries.longs().between(0, 999_999_999_999_999_999L))
                .ofMaxSize(10);
    }

    @Property
    void valuesAreReadAsTheyWereWritten(@ForAll("values") Map<String, Long> values) {
        String line = values.entrySet().stream()
                .map(entry -> " " + entry.getKey() + "=" + entry.getValue())
                .collect(Collectors.joining("", "ok", ""));
        ShimAnswer answer = parse(line);
        assertThat(answer.values()).hasSameSizeAs(values);
        new LinkedHashMap<>(values)
                .forEach((name, value) -> assertThat(answer.number(name)).hasValue(value));
    }

    @Property
    void secondsAreReadToTheNanosecond(
            @ForAll @LongRange(max = 1_000_000) long seconds, @ForAll @LongRange(max = 999_999_999) long nanos) {
        ShimAnswer answer = parse(String.format("ok seconds=%d.%09d", seconds, nanos));
        assertThat(answer.nanos("seconds").orElseThrow())
                .isCloseTo(seconds * 1_000_000_000 + nanos, org.assertj.core.data.Offset.offset(1L));
    }
}
