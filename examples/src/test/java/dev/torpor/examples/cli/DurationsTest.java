package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.LongRange;

class DurationsTest {
    private static final Map<String, ChronoUnit> UNITS =
            Map.of("ms", ChronoUnit.MILLIS, "s", ChronoUnit.SECONDS, "m", ChronoUnit.MINUTES, "h", ChronoUnit.HOURS);

    @Property
    void aNumberAndAUnit(@ForAll @LongRange(max = 999_999_999_999L) long number, @ForAll("units") String unit) {
        assertThat(Durations.parse(number + unit)).isEqualTo(Duration.of(number, UNITS.get(unit)));
    }

    @Property
    void anythingElseIsRefusedInASentence(@ForAll("others") String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Durations.parse(text))
                .withMessageStartingWith("'" + text + "' is not a duration");
    }

    @Example
    void zeroNeedsNoUnit() {
        assertThat(Durations.parse("0")).isEqualTo(Duration.ZERO);
    }

    @Provide
    Arbitrary<String> units() {
        return Arbitraries.of(UNITS.keySet());
    }

    @Provide
    Arbitrary<String> others() {
        return Arbitraries.strings()
                .withChars("019.-+ mshd")
                .ofMaxLength(8)
                .filter(text -> !text.matches("0+|[0-9]+(ms|s|m|h)"));
    }
}
