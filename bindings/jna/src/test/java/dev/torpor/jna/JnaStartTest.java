package dev.torpor.jna;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.io.TempDir;

/** Where JNA does not work, its own reason is told; each needs a process of its own. */
@Timeout(60)
class JnaStartTest {
    /** Prints what a user would read. */
    static final class Open {
        private Open() {}

        public static void main(String[] args) {
            for (int i = 0; i < 2; i++) { // the second time Java itself only says that it has failed before
                try {
                    new JnaProvider().open("libm.so.6");
                    System.out.println("opened");
                } catch (IllegalStateException e) {
                    System.out.println(e.getMessage());
                }
            }
        }
    }

    private static List<String> said(List<String> before, String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(before);
        command.add(System.getProperty("java.home") + "/bin/java");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Open.class.getName()));
        Process java = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> lines =
                new String(java.getInputStream().readAllBytes(), UTF_8).lines().toList();
        assertThat(java.waitFor()).as("%s", lines).isZero();
        return lines;
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_24, disabledReason = "--illegal-native-access came with Java 24")
    void deniedNativeAccessIsNamed() throws IOException, InterruptedException {
        assertThat(said(List.of(), "--illegal-native-access=deny"))
                .hasSize(2)
                .allMatch(line -> line.equals(
                        "this Java denies native access: start it with --enable-native-access=ALL-UNNAMED"));
    }

    @Test
    void aDirectoryWhereNothingMayBeRunIsNamed(@TempDir Path folder) throws IOException, InterruptedException {
        List<String> mounted = List.of(
                "unshare",
                "-m",
                "sh",
                "-c",
                "mount -t tmpfs -o noexec torpor-test \"$0\" && exec \"$@\"",
                folder.toString());
        List<String> probe = new ArrayList<>(mounted);
        probe.add("true");
        assumeTrue(runs(probe), "needs root, to mount a file system");
        assertThat(said(mounted, "-Djna.tmpdir=" + folder, "-Djna.nosys=true"))
                .hasSize(2)
                .allMatch(line -> line.startsWith("JNA's own library cannot be run from the directory")
                        && line.endsWith(
                                "let the system property jna.tmpdir name a directory where programs may be run"));
    }

    private static boolean runs(List<String> command) throws InterruptedException {
        try {
            return new ProcessBuilder(command).start().waitFor() == 0;
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void otherTroubleHasItsOwnWords() {
        assertThat(JnaStart.reason(new UnsatisfiedLinkError("no space"))).isEqualTo("JNA does not start (no space)");
    }
}
