package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class CheckpointBufferTest {
    record Mapping(String permissions, String inode, String name, long size, long resident) {
        String text() {
            return "7f0000000000-7f0000100000 " + permissions + " 00000000 00:00 " + inode + " " + name + "\nSize:  "
                    + size + " kB\nKernelPageSize:        4 kB\nRss:   " + resident
                    + " kB\nVmFlags: rd wr mr mw me ac\n";
        }

        boolean isFullPrivateAnonymous() {
            return permissions.equals("rw-p") && inode.equals("0") && name.isEmpty() && size == resident;
        }
    }

    @Property
    void itIsTheLargestFullPrivateAnonymousMapping(@ForAll("mappings") List<Mapping> mappings) {
        String smaps = mappings.stream().map(Mapping::text).reduce("", String::concat);
        long expected = mappings.stream()
                .filter(Mapping::isFullPrivateAnonymous)
                .mapToLong(Mapping::size)
                .max()
                .orElse(0);
        assertThat(CheckpointBuffer.bytes(smaps, 0).orElse(0)).isEqualTo(expected * 1024);
    }

    @Provide
    Arbitrary<List<Mapping>> mappings() {
        return Combinators.combine(
                        Arbitraries.of("rw-p", "r--p", "rw-s"),
                        Arbitraries.of("0", "123"),
                        Arbitraries.of("", "[heap]", "/usr/lib/a: b.so"),
                        Arbitraries.longs().between(4, 1L << 40),
                        Arbitraries.of(0L, 1L, 2L))
                .as((permissions, inode, name, size, part) ->
                        new Mapping(permissions, inode, name, size, part == 0 ? size : size / (1 + part)))
                .list()
                .ofMaxSize(8);
    }

    private static String anonymous(long mib) {
        return new Mapping("rw-p", "0", "", mib << 10, mib << 10).text();
    }

    private static long mebibytes(String smaps, long arena) {
        return CheckpointBuffer.bytes(smaps, arena << 20).orElse(0) >> 20;
    }

    @Test
    void theArenaOfTheShimIsNoBufferOfTheDrivers() {
        assertThat(mebibytes(anonymous(9000) + anonymous(600), 9000)).isEqualTo(600);
        assertThat(mebibytes(anonymous(9600), 9000)).as("merged").isEqualTo(600);
        assertThat(mebibytes(anonymous(9000), 9000)).as("nothing beside it").isZero();
    }

    @Test
    void anArenaThatNoMappingHoldsIsTakenOffNothing() {
        assertThat(mebibytes(anonymous(600) + anonymous(300), 900))
                .as("in parts")
                .isEqualTo(600);
    }

    @Test
    void withoutMapsThereIsNone() {
        assertThat(CheckpointBuffer.bytes(null, 0)).isEmpty();
        assertThat(CheckpointBuffer.bytes("", 0)).isEmpty();
        assertThat(CheckpointBuffer.bytes("no maps at all\n:\n-\n", 0)).isEmpty();
    }

    private static String line(String range, String permissions, String name) {
        return range + " " + permissions + " 00000000 00:00 0 " + name + "\n";
    }

    @Test
    void theMappingThatWasMadeMeanwhileIsTheLargestNewOne() {
        String before = line("10000000-90000000", "rw-p", "") + line("a0000000-a0400000", "rw-p", "");
        String after = before
                + line("b0000000-b0800000", "rw-p", "")
                + line("c0000000-c0400000", "rw-p", "")
                + line("d0000000-e0000000", "r--p", "")
                + line("e0000000-f0000000", "rw-p", "[heap]");
        assertThat(CheckpointBuffer.made(before, after)).hasValue("b0000000-b0800000");
        assertThat(CheckpointBuffer.isThere(after, "b0000000-b0800000")).isTrue();
        assertThat(CheckpointBuffer.isThere(before, "b0000000-b0800000")).isFalse();
        assertThat(CheckpointBuffer.isThere(line("10000000-90000000", "rw-p", ""), "10000000-90000000"))
                .isTrue();
        assertThat(CheckpointBuffer.isThere(after, "d0000000-e0000000")).isFalse();
        assertThat(CheckpointBuffer.made(before, before)).isEmpty();
        assertThat(CheckpointBuffer.made(before, before + line("b0000000-b0001000", "rw-p", "")))
                .as("a page")
                .isEmpty();
        assertThat(CheckpointBuffer.made(null, after)).isEmpty();
        assertThat(CheckpointBuffer.made(before, null)).isEmpty();
        assertThat(CheckpointBuffer.made("no maps", "none\n-\n x-y z\n\n")).isEmpty();
        assertThat(CheckpointBuffer.isThere(null, "1-2")).isFalse();
    }
}
