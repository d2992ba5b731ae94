package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.torpor.driver.LibTorpor;
import dev.torpor.driver.LoadedLibrary;
import dev.torpor.driver.NativeFunction;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShimStatisticsTest {
    @Test
    void valuesAreFoundByTheirNames() {
        ShimStatistics statistics = ShimStatistics.parse(" copies=3  copies_seconds=0.25 =7 odd last=a=b \n");
        assertThat(statistics.values().keySet()).containsExactly("copies", "copies_seconds", "last");
        assertThat(statistics.values()).containsEntry("last", "a=b");
        assertThat(statistics.number("copies")).hasValue(3);
        assertThat(statistics.number("copies_seconds")).isEmpty();
        assertThat(statistics.number("odd")).isEmpty();
        assertThat(statistics).hasToString("copies=3 copies_seconds=0.25 last=a=b");
        assertThat(ShimStatistics.parse("").values()).isEmpty();
    }

    /** A shim that has one line to tell, in the memory that it is given. */
    private static final class Telling implements LoadedLibrary {
        private final byte[] line;
        private final String lacking;
        private final List<ByteBuffer> memory = new ArrayList<>();

        Telling(String line, String lacking) {
            this.line = line.getBytes(StandardCharsets.UTF_8);
            this.lacking = lacking;
        }

        @Override
        public @Nullable NativeFunction find(String name) {
            return name.equals(lacking)
                    ? null
                    : (NativeFunction) Proxy.newProxyInstance(
                            getClass().getClassLoader(),
                            new Class<?>[] {NativeFunction.class},
                            (proxy, method, arguments) -> tell((long) arguments[0], (long) arguments[1]));
        }

        private int tell(long address, long room) {
            int length = (int) Math.min(line.length, room - 1);
            memory.get((int) address).put(0, line, 0, length).put(length, (byte) 0);
            return line.length;
        }

        @Override
        public NativeFunction function(long address) {
            throw new AssertionError();
        }

        @Override
        public long address(ByteBuffer direct) {
            memory.add(direct);
            return memory.size() - 1L;
        }

        @Override
        public String text(long address) {
            ByteBuffer bytes = memory.get((int) address);
            StringBuilder text = new StringBuilder();
            for (int i = 0; bytes.get(i) != 0; i++) {
                text.append((char) bytes.get(i));
            }
            return text.toString();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 990, 998, 999, 1000, 1001, 1023, 1024, 5000})
    void aLineOfAnyLengthIsReadWhole(int length) throws InterruptedException {
        String line = "x=" + "y".repeat(length);
        List<String> read = new ArrayList<>();
        // Scratch memory belongs to a thread, and its address here to one library.
        Thread thread = new Thread(() -> read.add(new LibTorpor(new Telling(line, "")).statistics()), "told");
        thread.start();
        thread.join();
        assertThat(read).containsExactly(line);
    }

    @ParameterizedTest
    @ValueSource(strings = {"torpor_copy_to_device", "torpor_copy_to_host", "torpor_statistics"})
    void aLibraryWithoutAFunctionIsRefusedWithItsName(String name) {
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> new LibTorpor(new Telling("", name)))
                .withMessageContaining(name);
    }
}
