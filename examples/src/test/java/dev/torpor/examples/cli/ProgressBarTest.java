package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Progress;
import dev.torpor.Step;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class ProgressBarTest {
    private static Progress progress(Step step, OptionalLong moved) {
        return new Progress(step, Duration.ofMillis(1234), moved, OptionalLong.of(8L << 30));
    }

    @Test
    void aBarGrowsWithWhatIsMoved() {
        assertThat(ProgressBar.text(progress(Step.CHECKPOINT, OptionalLong.of(4L << 30))))
                .isEqualTo("checkpoint [" + "#".repeat(15) + ".".repeat(15) + "]  50 % of 8.0 GiB  1.2 s");
    }

    @Test
    void aStepInWhichNothingIsSeenShowsItsTime() {
        assertThat(ProgressBar.text(progress(Step.RESTORE, OptionalLong.empty())))
                .isEqualTo("restore    1.2 s");
    }

    @Test
    void theLineIsGoneAtTheEnd() {
        StringWriter terminal = new StringWriter();
        try (ProgressBar bar = new ProgressBar(new PrintWriter(terminal))) {
            bar.progress(progress(Step.RESTORE, OptionalLong.empty()));
        }
        assertThat(terminal.toString()).isEqualTo("\r\u001b[Krestore    1.2 s\r\u001b[K");
    }
}
