package dev.torpor.criu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.torpor.Failures;
import dev.torpor.Problem;
import dev.torpor.tools.TemporaryFolder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;

class CriuStatisticsTest {
    /** What CRIU 4.1.1 wrote about a {@code sleep}. */
    private static final String DUMP =
            "4059105506330957220000000a2008d10310cc5018c5072087012839300038" + "1e4000480050065806600068007000";

    private static final String RESTORE = "40591055063309570d000000120b080010001804" + "20ed75281f";

    @Example
    void aDumpsAreRead() throws IOException {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            write(folder.path().resolve("stats-dump"), DUMP);

            assertThat(CriuStatistics.ofDump(folder.path()))
                    .isEqualTo(new CriuStatistics.Dump(
                            micros(465), micros(10316), micros(965), micros(135), 57, 0, 30, 0));
        }
    }

    @Example
    void aRestoresAreRead() throws IOException {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            write(folder.path().resolve("stats-restore"), RESTORE);

            assertThat(CriuStatistics.ofRestore(folder.path()))
                    .isEqualTo(new CriuStatistics.Restore(0, 0, micros(4), micros(15085), 31));
        }
    }

    @Example
    void whatIsNotThereOrNoStatisticsIsASentence() throws IOException {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            Path file = folder.path().resolve("stats-dump");
            assertThat(Failures.failure(Problem.SNAPSHOT, () -> CriuStatistics.ofDump(folder.path())))
                    .hasMessageStartingWith(file + " holds no statistics of CRIU: ");
            write(file, "00112233");
            assertThat(Failures.failure(Problem.SNAPSHOT, () -> CriuStatistics.ofDump(folder.path())))
                    .hasMessage(file + " holds no statistics of CRIU: it begins with other numbers.");
            write(file, RESTORE);
            assertThat(Failures.failure(Problem.SNAPSHOT, () -> CriuStatistics.ofDump(folder.path())))
                    .hasMessage(file + " holds no statistics of CRIU: field 1 is missing.");
        }
    }

    @Example
    void aMessageThatEndsTooEarlyIsMalformed() {
        byte[] whole = HexFormat.of().parseHex(DUMP);
        for (int length = 0; length < whole.length; length++) {
            byte[] part = Arrays.copyOf(whole, length);
            assertThatExceptionOfType(Message.Malformed.class).isThrownBy(() -> only(part));
        }
    }

    @Property
    void numbersOfAnySizeAreRead(@ForAll @LongRange(min = 1, max = (1 << 29) - 1) long field, @ForAll long value)
            throws Message.Malformed {
        ByteArrayOutputStream inner = new ByteArrayOutputStream();
        varint(inner, field << 3);
        varint(inner, value);
        ByteArrayOutputStream outer = new ByteArrayOutputStream();
        varint(outer, 1 << 3 | 2);
        varint(outer, inner.size());
        outer.writeBytes(inner.toByteArray());

        Message message = only(image(outer.toByteArray())).message(1);

        assertThat(message.number((int) field)).isEqualTo(value);
        assertThat(message.number(field == 1 ? 2 : 1)).isZero();
    }

    @Property
    void anyBytesAreReadOrMalformed(@ForAll byte[] bytes) {
        assertReadOrMalformed(bytes);
        assertReadOrMalformed(image(bytes));
    }

    @Property
    void aStatisticsFileWithAnyByteChangedIsReadOrMalformed(
            @ForAll @LongRange(max = 45) long at, @ForAll byte changed, @ForAll @Size(max = 3) byte[] more) {
        byte[] bytes = HexFormat.of().parseHex(DUMP);
        bytes[(int) at] = changed;
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(bytes);
        all.writeBytes(more);
        assertReadOrMalformed(all.toByteArray());
    }

    private static void assertReadOrMalformed(byte[] bytes) {
        try {
            only(bytes).message(1).number(1);
        } catch (Message.Malformed e) {
            assertThat(e.getMessage()).isNotBlank();
        }
    }

    private static Message only(byte[] image) throws Message.Malformed {
        return Message.ofImage(image, 0x55105940, 0x57093306).stream()
                .findFirst()
                .orElseThrow(() -> new Message.Malformed("nothing in it"));
    }

    private static byte[] image(byte[] message) {
        ByteBuffer image = ByteBuffer.allocate(12 + message.length).order(ByteOrder.LITTLE_ENDIAN);
        return image.putInt(0x55105940)
                .putInt(0x57093306)
                .putInt(message.length)
                .put(message)
                .array();
    }

    private static void varint(ByteArrayOutputStream out, long value) {
        long left = value;
        while ((left & ~0x7FL) != 0) {
            out.write((int) ((left & 0x7F) | 0x80));
            left >>>= 7;
        }
        out.write((int) left);
    }

    private static void write(Path file, String hex) throws IOException {
        Files.write(file, HexFormat.of().parseHex(hex));
    }

    private static Duration micros(long micros) {
        return Duration.ofNanos(1000 * micros);
    }
}
