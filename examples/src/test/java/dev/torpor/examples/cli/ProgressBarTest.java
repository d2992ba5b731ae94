package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Progress;
import dev.torpor.Step;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class ProgressBarTest {
    private static final int WIDE = 79;

    private static Progress progress(Step step, OptionalLong moved) {
        return new Progress(step, Duration.ofMillis(1234), moved, OptionalLong.of(8L << 30));
    }

    private static String text(Progress progress, int room) {
        return ProgressBar.text(List.of(progress), false, room);
    }

    @Test
    void aBarGrowsWithWhatIsMoved() {
        assertThat(text(progress(Step.CHECKPOINT, OptionalLong.of(4L << 30)), WIDE))
                .isEqualTo("checkpoint [" + "#".repeat(15) + ".".repeat(15) + "]  50 % of 8.0 GiB  1.2 s");
    }

    @Test
    void aStepInWhichNothingIsSeenShowsItsTime() {
        assertThat(text(progress(Step.RESTORE, OptionalLong.empty()), WIDE)).isEqualTo("restore    1.2 s");
    }

    @Test
    void severalProcessesShareABar() {
        List<Progress> both = List.of(
                progress(Step.CHECKPOINT, OptionalLong.of(8L << 30)), progress(Step.CHECKPOINT, OptionalLong.of(0)));
        assertThat(ProgressBar.text(both, false, WIDE)).contains("]  50 % of 16.0 GiB");
    }

    @Test
    void aTransitionThatWillBeUndoneSaysSo() {
        assertThat(ProgressBar.text(List.of(progress(Step.RESTORE, OptionalLong.empty())), true, WIDE))
                .isEqualTo("stopping: restore 1.2 s");
    }

    @Test
    void aNarrowTerminalGetsAShorterBarAndThenNone() {
        Progress half = progress(Step.CHECKPOINT, OptionalLong.of(4L << 30));
        assertThat(text(half, 50))
                .isEqualTo("checkpoint [######.......]  50 % of 8.0 GiB  1.2 s")
                .hasSize(50);
        assertThat(text(half, 19)).isEqualTo("checkpoint  50 %");
        assertThat(text(half, 5)).isEqualTo("check");
    }

    @Property
    void noLineIsWiderThanItsTerminal(
            @ForAll Step step,
            @ForAll @LongRange(min = 0, max = 1L << 45) long moved,
            @ForAll boolean stopping,
            @ForAll @IntRange(min = 0, max = 200) int room) {
        Progress progress = new Progress(step, Duration.ofHours(30), OptionalLong.of(moved), OptionalLong.of(1L << 40));
        assertThat(ProgressBar.text(List.of(progress), stopping, room))
                .hasSizeLessThanOrEqualTo(room)
                .matches("\\p{ASCII}*");
    }

    @Test
    void theLineIsGoneAtTheEnd() {
        StringWriter terminal = new StringWriter();
        try (ProgressBar bar = new ProgressBar(new PrintWriter(terminal), () -> WIDE + 1, () -> false)) {
            bar.of(7).progress(progress(Step.RESTORE, OptionalLong.empty()));
        }
        assertThat(terminal.toString()).isEqualTo("\r\u001b[Krestore    1.2 s\r\u001b[K");
    }

    @Test
    void nothingIsShownBeforeTheWidthIsKnown() {
        StringWriter terminal = new StringWriter();
        try (ProgressBar bar = new ProgressBar(new PrintWriter(terminal), () -> 0, () -> false)) {
            bar.of(7).progress(progress(Step.RESTORE, OptionalLong.empty()));
        }
        assertThat(terminal.toString()).isEqualTo("\r\u001b[K");
    }

    @Test
    void sttyTellsTheWidth() {
        assertThat(TerminalWidth.parse("24 20\n")).isEqualTo(20);
        assertThat(TerminalWidth.parse("0 0\n")).isPositive();
        assertThat(TerminalWidth.parse("")).isPositive();
    }
}
