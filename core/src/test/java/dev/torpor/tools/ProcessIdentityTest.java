package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ProcessIdentityTest {
    @Test
    void anotherProcessThatHasThePidIsNotKilled() throws Exception {
        Process process = new ProcessBuilder("sleep", "600").start();
        ProcessIdentity real = ProcessIdentity.of(process.pid()).orElseThrow();
        ProcessIdentity earlier = new ProcessIdentity(process.pid(), real.startTime() - 1);

        assertThat(earlier.isAlive()).isFalse();
        earlier.kill();
        assertThat(process.isAlive()).isTrue();
        assertThat(real.isAlive()).isTrue();
        real.kill();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(128 + 9); // the one signal that nothing else sends
        assertThat(real.isAlive()).isFalse();
        real.kill();
    }

    @Test
    void whatIsNotThereHasNone() throws IOException {
        assertThat(ProcessIdentity.of(Integer.MAX_VALUE)).isEmpty();
        assertThat(ProcessIdentity.allOf(List.of(1L, (long) Integer.MAX_VALUE)))
                .extracting(ProcessIdentity::pid)
                .containsExactly(1L);
    }

    @Test
    void theClockIsThatOfStartTimes() throws IOException {
        ProcFs proc = new ProcFs();
        long before = proc.now();
        Process process = new ProcessBuilder("sleep", "600").start();

        assertThat(proc.startTime(process.pid())).isBetween(before, proc.now());
        process.destroy();
    }
}
