package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SizesTest {
    @ParameterizedTest
    @CsvSource({
        "0, 0 B",
        "1023, 1023 B",
        "1024, 1.0 KiB",
        "67108864, 64.0 MiB",
        "9328132096, 8.7 GiB",
        "150000000000, 140 GiB",
        "9223372036854775807, 8388608 TiB"
    })
    void bytesReadLikeThis(long bytes, String text) {
        assertThat(Sizes.text(bytes)).isEqualTo(text);
    }
}
