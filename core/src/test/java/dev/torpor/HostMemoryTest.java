package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Machine;
import dev.torpor.tools.HostMemory;
import dev.torpor.tools.HostMemory.Limit;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class HostMemoryTest {
    private static final long GIB = 1L << 30;

    @TempDir
    private Path root;

    private FakeGroups groups;

    @BeforeEach
    void begin() throws IOException {
        groups = new FakeGroups(root.resolve("a test"));
    }

    /** What {@code /proc} tells of process 7, and hierarchies of control groups that are mounted below a directory with a blank in its name. */
    private record FakeGroups(Path top) {
        FakeGroups {
            try {
                Files.createDirectories(top.resolve("proc/self"));
                Files.createDirectories(top.resolve("proc/7"));
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }

        HostMemory memory() {
            return new HostMemory(new ProcFs(top.resolve("proc").toString()));
        }

        void group(String line) throws IOException {
            append(top.resolve("proc/7/cgroup"), line);
        }

        void mount(String mountinfo, String where, String point, String type, String options) throws IOException {
            String path = top + (point.isEmpty() ? "" : "/" + point);
            append(
                    top.resolve(mountinfo),
                    "35 31 0:32 " + where + " " + path.replace(" ", "\\040") + " rw shared:9 master:1 - " + type
                            + " a-source " + options);
        }

        void mount(String where, String point, String type, String options) throws IOException {
            mount("proc/self/mountinfo", where, point, type, options);
        }

        void file(String path, String line) throws IOException {
            Files.createDirectories(top.resolve(path).getParent());
            append(top.resolve(path), line);
        }

        private static void append(Path file, String line) throws IOException {
            Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
    }

    private record Case(String name, List<String> lines, String left) {
        void check(FakeGroups groups) throws IOException {
            for (String line : lines) {
                String[] words = line.split(" ");
                switch (words[0]) {
                    case "group" -> groups.group(line.substring("group ".length()));
                    case "mount" -> groups.mount(words[1], words[2].equals("/") ? "" : words[2], words[3], words[4]);
                    case "file" -> {
                        int name =
                                Math.max(line.indexOf("memory.", line.lastIndexOf('/')), line.lastIndexOf("cgroup."));
                        name = name < 0 ? line.indexOf("memory.") : name;
                        int blank = line.indexOf(' ', name);
                        groups.file(line.substring("file ".length(), blank), line.substring(blank + 1));
                    }
                    default -> throw new AssertionError("what is '" + line + "'?");
                }
            }
            assertThat(groups.memory().availableTo(7).orElse(-1))
                    .as(name)
                    .isEqualTo(left.equals("none") ? -1 : Long.parseLong(left));
        }
    }

    private static List<Case> cases() throws IOException {
        List<Case> cases = new ArrayList<>();
        List<String> lines = new ArrayList<>();
        String name = "";
        for (String line : Files.readAllLines(Machine.built("..").resolve("tests/host_memory.txt"))) {
            if (line.startsWith("case ")) {
                name = line.substring("case ".length());
            } else if (line.startsWith("left ")) {
                cases.add(new Case(name, List.copyOf(lines), line.substring("left ".length())));
                lines.clear();
            } else if (!line.isEmpty() && !line.startsWith("#")) {
                lines.add(line);
            }
        }
        return cases;
    }

    /** The shim is tested with the same table. */
    @TestFactory
    Stream<DynamicTest> theRulesTableHolds() throws IOException {
        List<Case> cases = cases();
        assertThat(cases).hasSizeGreaterThan(30);
        return cases.stream()
                .map(one -> DynamicTest.dynamicTest(
                        one.name(), () -> one.check(new FakeGroups(root.resolve("case " + cases.indexOf(one))))));
    }

    @Test
    void theHostsMemoryIsALimitBesideThoseOfTheGroups() throws IOException {
        groups.file("proc/meminfo", "MemTotal: 99 kB\nMemAvailable:   " + 8 * GIB / 1024 + " kB");
        assertThat(groups.memory().limits(7)).containsExactly(new Limit(Limit.HOST, 8 * GIB));
        groups.group("0::/pods/server");
        groups.mount("/", "", "cgroup2", "rw");
        groups.file("pods/memory.max", "" + 9 * GIB);
        assertThat(groups.memory().availableTo(7)).hasValue(8 * GIB);
        groups.file("pods/server/memory.max", "" + 4 * GIB);
        assertThat(groups.memory().limits(7))
                .containsExactly(
                        new Limit(Limit.HOST, 8 * GIB),
                        new Limit("the control group /pods/server", 4 * GIB),
                        new Limit("the control group /pods", 9 * GIB));
    }

    @Test
    void aGroupThatTwoMountsShowIsOneLimit() throws IOException {
        groups.group("4:memory:/a/b");
        groups.mount("/a", "part", "cgroup", "rw,memory");
        groups.mount("/", "all", "cgroup", "rw,memory");
        for (String directory : List.of("part", "all/a")) {
            groups.file(directory + "/memory.limit_in_bytes", "5000");
            groups.file(directory + "/b/memory.limit_in_bytes", "4000");
        }
        assertThat(groups.memory().limits(7))
                .containsExactly(new Limit("the control group /a/b", 4000), new Limit("the control group /a", 5000));
    }

    @Test
    void aGroupOutsideOfOursIsSeenWhereTheProcessHasMountedIt() throws IOException {
        groups.group("0::/../other/a");
        groups.mount("/", "ours", "cgroup2", "rw");
        groups.file("ours/memory.max", "1000");
        assertThat(groups.memory().limits(7)).isEmpty();
        Path inside =
                Files.createDirectories(groups.top().resolve("proc/7/root").resolve("cgroup"));
        Files.writeString(
                groups.top().resolve("proc/7/mountinfo"), "35 31 0:32 /../other /cgroup rw - cgroup2 none rw\n");
        Files.writeString(inside.resolve("memory.max"), "900\n");
        assertThat(groups.memory().limits(7)).containsExactly(new Limit("the control group /../other", 900));
    }

    @Test
    void aNumberThatNoMemoryHasIsNoLimit() throws IOException {
        groups.group("0::/a");
        groups.mount("/", "", "cgroup2", "rw");
        groups.file("a/memory.max", "99999999999999999999999999");
        assertThat(groups.memory().limits(7)).isEmpty();
    }
}
