package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MappingTest {
    @Test
    void theLinesOfAFileAreOne() {
        String maps = """
                55d0a0000000-55d0a0002000 r--p 00000000 fe:00 11                         /usr/bin/sleep
                7f00aa000000-7f00aa001000 r--p 00000000 fe:00 22                         /tmp/a b/libx.so
                7f00aa001000-7f00aa002000 r-xp 00001000 fe:00 22                         /tmp/a b/libx.so
                7f00ab000000-7f00ab001000 rw-p 00001000 fe:00 33                         /tmp/data
                7f00ac000000-7f00ac001000 r-xp 00000000 fe:00 44                         /tmp/liby.so (deleted)
                7f00ad000000-7f00ad001000 rw-p 00000000 00:00 0
                7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]
                """;
        assertThat(Mapping.parse(maps))
                .containsExactly(
                        new Mapping("55d0a0000000-55d0a0002000", false, 11, "/usr/bin/sleep", false),
                        new Mapping("7f00aa000000-7f00aa001000", true, 22, "/tmp/a b/libx.so", false),
                        new Mapping("7f00ac000000-7f00ac001000", true, 44, "/tmp/liby.so", true));
        assertThat(Mapping.parse(maps).get(1).fileName()).isEqualTo("libx.so");
        assertThat(Mapping.parse(maps).get(1).address()).isEqualTo(0x7f00aa000000L);
        assertThat(Mapping.parse("")).isEmpty();
    }
}
