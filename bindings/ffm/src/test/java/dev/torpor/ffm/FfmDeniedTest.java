package dev.torpor.ffm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;

/** A Java that denies native access, which only a process of its own can be. */
@EnabledForJreRange(min = JRE.JAVA_24, disabledReason = "--illegal-native-access came with Java 24")
class FfmDeniedTest {
    /** Prints what a user would read. */
    static final class Open {
        private Open() {}

        public static void main(String[] args) {
            try {
                new FfmProvider().openCuda("libm.so.6");
                System.out.println("opened");
            } catch (IllegalStateException e) {
                System.out.println(e.getMessage());
            }
            System.out.println(new FfmProvider().initializeEarly("libm.so.6", -1, Map.of()));
        }
    }

    @Test
    void theReasonNamesTheOption() throws IOException, InterruptedException {
        Process java = new ProcessBuilder(
                        System.getProperty("java.home") + "/bin/java",
                        "--illegal-native-access=deny",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Open.class.getName())
                .redirectErrorStream(true)
                .start();
        List<String> lines =
                new String(java.getInputStream().readAllBytes(), UTF_8).lines().toList();
        assertThat(java.waitFor()).as("%s", lines).isZero();
        assertThat(lines).hasSize(2);
        assertThat(lines.get(0)).contains("denies native access", "--enable-native-access=ALL-UNNAMED");
        assertThat(lines.get(1)).isEqualTo("null");
    }
}
