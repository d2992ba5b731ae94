package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class RestoreNeedTest {
    @Property
    void whatWasWrittenIsRead(@ForAll("needs") RestoreNeed need) {
        assertThat(RestoreNeed.parse(need.text())).isEqualTo(need);
    }

    @Property
    void aTextThatWasCutIsNone(@ForAll("needs") RestoreNeed need, @ForAll @IntRange(min = 1, max = 400) int cut) {
        String text = need.text();
        assertThat(RestoreNeed.parse(text.substring(0, Math.max(0, text.length() - cut))))
                .isNull();
    }

    @Property
    void anyTextIsReadOrRefused(@ForAll String text) {
        assertThat(RestoreNeed.parse(text)).isNull();
    }

    @Property
    void aTextWithOneOtherCharacterIsReadOrRefused(
            @ForAll("needs") RestoreNeed need, @ForAll @IntRange(max = 1000) int at, @ForAll char character) {
        StringBuilder text = new StringBuilder(need.text());
        text.setCharAt(at % text.length(), character);
        RestoreNeed read = RestoreNeed.parse(text.toString());
        assertThat(read == null || read.total() >= 0).isTrue();
    }

    @Provide
    Arbitrary<RestoreNeed> needs() {
        Arbitrary<Map<GpuUuid, Long>> bytes = Arbitraries.maps(
                        Combinators.combine(Arbitraries.longs(), Arbitraries.longs())
                                .as((high, low) -> new GpuUuid(new UUID(high, low))),
                        Arbitraries.longs().between(0, 1L << 40))
                .ofMaxSize(8);
        return Combinators.combine(
                        Arbitraries.longs().between(1, 1 << 22),
                        Arbitraries.longs().between(0, 1L << 50),
                        bytes,
                        Arbitraries.of("7f0000000000-7f0010000000", "0-1").optional(),
                        Arbitraries.longs().between(0, 1L << 50).optional())
                .as((pid, start, each, mapping, buffers) -> new RestoreNeed(
                        pid, start, each, mapping, buffers.map(OptionalLong::of).orElse(OptionalLong.empty())));
    }

    @Test
    void whatIsSaidTwiceOrNotAtAllIsRefused() {
        RestoreNeed need =
                new RestoreNeed(7, 9, Map.of(new GpuUuid(new UUID(1, 2)), 5L), Optional.empty(), OptionalLong.empty());
        String text = need.text();
        for (String line : List.of("pid 7\n", "start 9\n", "end\n")) {
            assertThat(RestoreNeed.parse(text.replace(line, ""))).as(line).isNull();
            assertThat(RestoreNeed.parse(text.replace(line, line + line)))
                    .as(line)
                    .isNull();
        }
        String device = text.lines()
                .filter(line -> line.startsWith("device"))
                .findFirst()
                .orElseThrow();
        assertThat(RestoreNeed.parse(text.replace(device, device + "\n" + device)))
                .isNull();
        assertThat(RestoreNeed.parse(text.replace(" 5\n", " -5\n"))).isNull();
    }
}
