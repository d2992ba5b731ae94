package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GpuUuidTest {
    @Property
    void thePrintedFormIsReadBack(@ForAll long high, @ForAll long low) {
        GpuUuid uuid = new GpuUuid(new UUID(high, low));
        assertThat(GpuUuid.parse(uuid.toString())).isEqualTo(uuid);
        assertThat(GpuUuid.parse(uuid.value().toString().toUpperCase(Locale.ROOT)))
                .isEqualTo(uuid);
    }

    @Property
    void bytesAreInTheOrderOfThePrintedForm(@ForAll @Size(16) byte[] bytes) {
        GpuUuid uuid = GpuUuid.of(bytes);
        ByteBuffer written = ByteBuffer.allocate(16);
        uuid.writeTo(written);
        assertThat(written.array()).isEqualTo(bytes);
        assertThat(uuid.toString()).startsWith(String.format("GPU-%02x%02x", bytes[0], bytes[1]));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "GPU-",
                "GPU-1-1-1-1-1",
                "GPU-f37fc8d7-5fea-4c4d-9dd9-1b3c5a1e4f2",
                "MIG-f37fc8d7-5fea-4c4d-9dd9-1b3c5a1e4f2b"
            })
    void whatIsNoneIsRefusedWithAnExample(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> GpuUuid.parse(text))
                .withMessageContaining("'" + text + "'")
                .withMessageContaining("GPU-f37fc8d7");
    }

    @Test
    void thePrefixIsOptional() {
        assertThat(GpuUuid.parse("f37fc8d7-5fea-4c4d-9dd9-1b3c5a1e4f2b"))
                .isEqualTo(GpuUuid.parse("gpu-F37FC8D7-5fea-4c4d-9dd9-1b3c5a1e4f2b"));
    }
}
