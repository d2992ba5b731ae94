package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProcFsTest {
    private static final String FIELDS = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 4242 21 22";

    @TempDir
    private Path root;

    private ProcFs proc;

    @BeforeEach
    void begin() throws IOException {
        proc = new ProcFs(root.toString());
        Files.createDirectory(root.resolve("7"));
    }

    private void write(String file, String text) throws IOException {
        Files.writeString(root.resolve(file), text);
    }

    @ParameterizedTest
    @ValueSource(strings = {"sh", "a b", "a) S (b", ")", "S 1 2"})
    void theStartTimeIsFoundBehindAnyCommand(String command) throws IOException {
        write("7/stat", "7 (" + command + ") " + FIELDS.replace("19 4242", "4242"));
        assertThat(proc.startTime(7)).isEqualTo(4242);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "7", "7 (sh", "7 (sh) S 1"})
    void whatIsNoStatIsNoProcess(String stat) throws IOException {
        write("7/stat", stat);
        assertThat(proc.startTime(7)).isEqualTo(-1);
    }

    @Test
    void aZombieHasEnded() throws IOException {
        write("7/stat", "7 (sh) " + FIELDS.replace("S 1", "Z 1"));
        assertThat(proc.startTime(7)).isEqualTo(-1);
    }

    @Test
    void whatIsGoneReadsAsNothing() {
        assertThat(proc.startTime(8)).isEqualTo(-1);
        assertThat(proc.residentBytes(8)).isEqualTo(-1);
        assertThat(proc.user(8)).isEqualTo(-1);
        assertThat(proc.leader(8)).isEqualTo(-1);
        assertThat(proc.command(8)).isEmpty();
        assertThat(proc.smaps(8)).isNull();
        assertThat(proc.environment(8, "A")).isNull();
        assertThat(proc.availableBytes()).isEmpty();
    }

    @Test
    void aValueOfTheEnvironmentIsFoundByItsWholeName() throws IOException {
        write("7/environ", "XA=1\0A=b=c\0AB=2\0");
        assertThat(proc.environment(7, "A")).isEqualTo("b=c");
        assertThat(proc.environment(7, "B")).isNull();
    }

    @Test
    void aProcessInAContainerSeesItselfUnderOtherNumbers() throws IOException {
        write("7/status", "Name:\tsh\nTgid:\t7\nUid:\t101000\t101001\t101001\t101001\nNSpid:\t7\t12\t5\n");
        write("7/uid_map", "         0     100000       1001\n      1001     101001      64535\n");
        assertThat(proc.innermostPid(7)).isEqualTo(5);
        assertThat(proc.user(7)).isEqualTo(101_001);
        assertThat(proc.innermostUser(7)).as("namespaces that cannot be told").isEqualTo(101_001);
        for (String process : new String[] {"7", "self"}) {
            Files.createDirectories(root.resolve(process + "/ns"));
            Files.createSymbolicLink(root.resolve(process + "/ns/user"), Path.of("user:[" + process + "]"));
        }
        assertThat(proc.innermostUser(7)).isEqualTo(1001);
        write("7/uid_map", "0 4000000 10\n");
        assertThat(proc.innermostUser(7))
                .as("a user without a place in the map")
                .isEqualTo(101_001);
        Files.delete(root.resolve("self/ns/user"));
        Files.createSymbolicLink(root.resolve("self/ns/user"), Path.of("user:[7]"));
        write("7/uid_map", "0 101001 1\n");
        assertThat(proc.innermostUser(7)).as("in the same namespace").isEqualTo(101_001);
    }

    @Test
    void withoutNamespacesTheNumbersAreTheSame() throws IOException {
        write("7/status", "Tgid:\t7\nUid:\t1\t2\t3\t4\n");
        assertThat(proc.innermostPid(7)).isEqualTo(7);
        assertThat(proc.innermostUser(7)).isEqualTo(2);
        assertThat(proc.innermostPid(8)).isEqualTo(8);
        assertThat(proc.innermostUser(8)).isEqualTo(-1);
    }

    @Test
    void aProcessWithoutACommandLineHasItsName() throws IOException {
        write("7/cmdline", "");
        write("7/comm", "kworker\n");
        assertThat(proc.command(7)).isEqualTo("[kworker]");
        write("7/cmdline", "python\0serve.py\0");
        assertThat(proc.command(7)).isEqualTo("python serve.py");
    }

    @Test
    void filesLongerThanTheBufferAreReadToTheirEnd() throws IOException {
        String smaps = "x".repeat(10_000);
        write("7/smaps", smaps);
        assertThat(proc.smaps(7)).isEqualTo(smaps);
    }

    @Test
    void processesAreListedByNumber() throws IOException {
        Files.createDirectory(root.resolve("12"));
        Files.createDirectory(root.resolve("self"));
        assertThat(proc.processes()).containsExactly(7L, 12L);
    }

    @Test
    void theRealProcTellsAboutThisProcess() throws Exception {
        ProcFs real = new ProcFs();
        long pid = ProcessHandle.current().pid();
        assertThat(real.startTime(pid)).isPositive();
        assertThat(real.residentBytes(pid)).isGreaterThan(10L << 20);
        assertThat(real.leader(pid)).isEqualTo(pid);
        assertThat(real.user(pid)).isNotNegative();
        assertThat(real.command(pid)).contains("java");
        assertThat(real.availableBytes().orElseThrow()).isPositive();
        assertThat(real.smaps(pid)).contains("Rss:");
        assertThat(real.environment(pid, "PATH")).isEqualTo(System.getenv("PATH"));
        Process child = new ProcessBuilder("true").start();
        assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(real.startTime(child.pid())).isEqualTo(-1);
    }
}
