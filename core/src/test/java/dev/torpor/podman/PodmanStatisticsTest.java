package dev.torpor.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.CriuStatistics;
import java.time.Duration;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.StringLength;

class PodmanStatisticsTest {
    private static final String CHECKPOINT = """
            {"podman_checkpoint_duration": 458079, "container_statistics": [{"Id": "be80",
              "runtime_checkpoint_duration": 425268, "criu_statistics": {"freezing_time": 1034, "frozen_time": 368890,
              "memdump_time": 265084, "memwrite_time": 193286, "pages_scanned": 131095, "pages_written": 131088}}]}
            """;
    private static final String RESTORE = """
            {"podman_restore_duration": 702769, "container_statistics": [{"Id": "be80", "runtime_restore_duration": 572558,
              "criu_statistics": {"forking_time": 2, "restore_time": 432662, "pages_restored": 131088}}]}
            """;

    private static Duration micros(long micros) {
        return Duration.ofNanos(1000 * micros);
    }

    @Example
    void whatACheckpointPrints() {
        PodmanStatistics statistics = PodmanStatistics.parse("checkpoint", CHECKPOINT);

        assertThat(statistics.id()).isEqualTo("be80");
        assertThat(statistics.podman()).isEqualTo(micros(458079));
        assertThat(statistics.runtime()).isEqualTo(micros(425268));
        assertThat(statistics.dump())
                .isEqualTo(new CriuStatistics.Dump(
                        micros(1034), micros(368890), micros(265084), micros(193286), 131095, 0, 131088, 0));
    }

    @Example
    void whatARestorePrints() {
        PodmanStatistics statistics = PodmanStatistics.parse("restore", RESTORE);

        assertThat(statistics.podman()).isEqualTo(micros(702769));
        assertThat(statistics.runtime()).isEqualTo(micros(572558));
        assertThat(statistics.restored())
                .isEqualTo(new CriuStatistics.Restore(0, 0, micros(2), micros(432662), 131088));
    }

    @Property
    void anyTextIsReadOrRefused(@ForAll @StringLength(max = 60) String text) {
        assertReadOrRefused(text);
    }

    @Property
    void aPartOfItIsReadOrRefused(@ForAll @IntRange(max = 270) int from, @ForAll @IntRange(max = 270) int length) {
        assertReadOrRefused(CHECKPOINT.substring(0, Math.min(from, CHECKPOINT.length()))
                + CHECKPOINT.substring(Math.min(from + length, CHECKPOINT.length())));
    }

    private static void assertReadOrRefused(String text) {
        try {
            PodmanStatistics statistics = PodmanStatistics.parse("checkpoint", text);
            assertThat(statistics.dump().pagesLazy()).isNotNegative();
            assertThat(statistics.podman()).isNotNull();
            assertThat(statistics.id()).isNotNull();
        } catch (TorporException e) {
            assertThat(e.problem()).isEqualTo(Problem.TOOL);
            assertThat(e.getMessage()).startsWith("podman has done the checkpoint, and printed no statistics but: ");
        }
    }
}
