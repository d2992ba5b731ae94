package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SizesTest {
    @ParameterizedTest
    @CsvSource({"0,0", "64,64", "64K,65536", "8896M,9328132096", "1GiB,1073741824", "2 tb,2199023255552"})
    void aNumberMayHaveAUnit(String text, long bytes) {
        assertThat(Sizes.parse(text)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "G", "1.5G", "-1M", "1P", "1 0"})
    void anythingElseIsRefused(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> Sizes.parse(text));
    }

    @Test
    void sizesReadAsPeopleSayThem() {
        assertThat(Sizes.text(1023)).isEqualTo("1023 B");
        assertThat(Sizes.text(8896L << 20)).isEqualTo("8.7 GiB");
        assertThat(Sizes.text(8896L << 10)).isEqualTo("8.7 MiB");
        assertThat(Sizes.text(150L << 20)).isEqualTo("150 MiB");
    }
}
