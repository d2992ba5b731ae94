package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.tools.HostMemory;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostMemoryTest {
    private static final long GIB = 1L << 30;

    @TempDir
    private Path root;

    private Path group;
    private HostMemory memory;

    @BeforeEach
    void begin() throws IOException {
        Files.createDirectories(root.resolve("proc/7"));
        group = Files.createDirectories(root.resolve("cgroup/pods/server"));
        Files.writeString(root.resolve("proc/meminfo"), "MemTotal: 99 kB\nMemAvailable:   " + 8 * GIB / 1024 + " kB\n");
        Files.writeString(root.resolve("proc/7/cgroup"), "1:cpu:/x\n0::/pods/server\n");
        memory = new HostMemory(new ProcFs(root.resolve("proc").toString()), root.resolve("cgroup"));
    }

    private static void limit(Path group, String max, long current, long inactiveFile) throws IOException {
        Files.writeString(group.resolve("memory.max"), max + "\n");
        Files.writeString(group.resolve("memory.current"), current + "\n");
        Files.writeString(group.resolve("memory.stat"), "anon 1\ninactive_file " + inactiveFile + "\nactive_file 5\n");
    }

    @Test
    void withoutALimitItIsWhatTheHostHas() {
        assertThat(memory.availableTo(7)).hasValue(8 * GIB);
    }

    @Test
    void aLimitCountsWithoutThePagesThatCanBeDropped() throws IOException {
        limit(group, "" + 4 * GIB, 3 * GIB, GIB);
        assertThat(memory.availableTo(7)).hasValue(2 * GIB);
    }

    @Test
    void theTightestLimitOnTheWayUpCounts() throws IOException {
        limit(group, "max", 3 * GIB, 0);
        limit(group.resolve(".."), "" + 4 * GIB, 3 * GIB, 0);
        assertThat(memory.availableTo(7)).hasValue(GIB);
    }

    @Test
    void anExceededLimitLeavesNothing() throws IOException {
        limit(group, "" + GIB, 2 * GIB, 0);
        assertThat(memory.availableTo(7)).hasValue(0);
    }

    @Test
    void aGroupOutsideTheTreeIsNotFollowed() throws IOException {
        limit(root, "0", 0, 0);
        Files.writeString(root.resolve("proc/7/cgroup"), "0::/../..\n");
        assertThat(memory.availableTo(7)).hasValue(8 * GIB);
    }

    @Test
    void whatCannotBeReadIsNoLimit() throws IOException {
        Files.writeString(group.resolve("memory.max"), "a lot\n");
        Files.delete(root.resolve("proc/meminfo"));
        assertThat(memory.availableTo(7)).isEmpty();
    }
}
