package dev.torpor.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.TorporException;
import dev.torpor.tools.TemporaryFolder;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A program with named pipes in place of its streams. */
@Timeout(60)
class DetachedProgramTest {
    private static final Pattern UP = Pattern.compile("^up$");
    private static final Duration LIMIT = Duration.ofSeconds(50);

    private static DetachedProgram shell(TemporaryFolder folder, String script) {
        return DetachedProgram.start(List.of("sh", "-c", script), Map.of("WORD", "up"), folder.path());
    }

    private static boolean isAlive(DetachedProgram program) {
        return ProcessHandle.of(program.pid()).filter(ProcessHandle::isAlive).isPresent();
    }

    @Test
    void itHearsAndAnswers() {
        try (TemporaryFolder folder = TemporaryFolder.make();
                DetachedProgram program = shell(folder, "echo $WORD; while read line; do echo \"<$line>\"; done")) {
            assertThat(program.await(UP, LIMIT)).isEqualTo("up");
            program.send("word");
            assertThat(program.await(Pattern.compile("word"), LIMIT)).isEqualTo("<word>");
        }
    }

    @Test
    void itsChildrenEndWithIt() {
        DetachedProgram program;
        ProcessHandle child;
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            program = shell(folder, "sleep 1000 & echo $!; wait");
            long pid = Long.parseLong(program.await(Pattern.compile("^\\d+$"), LIMIT));
            child = ProcessHandle.of(pid).orElseThrow();
            program.close();
        }
        assertThat(isAlive(program)).isFalse();
        assertThat(child.isAlive()).isFalse();
    }

    /** It has no session of its own yet. */
    @RepeatedTest(10)
    void closedAsSoonAsItIsStartedItEnds() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "echo $WORD; sleep 1000");
            program.close();
            assertThat(isAlive(program)).isFalse();
        }
    }

    @Test
    void whoWaitsIsToldThatItWasClosed() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "echo $WORD; sleep 1000");
            program.await(UP, LIMIT);
            CompletableFuture<String> waiting = CompletableFuture.supplyAsync(() -> program.await(UP, LIMIT));
            program.close();
            assertThatThrownBy(waiting::join)
                    .hasCauseInstanceOf(TorporException.class)
                    .hasMessageContaining("the last it said was: up");
        }
    }

    @Test
    void whoEndsWithoutTheWordIsToldWithItsLastOne() {
        try (TemporaryFolder folder = TemporaryFolder.make();
                DetachedProgram program = shell(folder, "echo down")) {
            assertThatThrownBy(() -> program.await(UP, LIMIT))
                    .isInstanceOf(TorporException.class)
                    .hasMessageContaining("has ended and has not said")
                    .hasMessageContaining("the last it said was: down");
        }
    }

    @Test
    void whoDoesNotSayItInTimeIsTold() {
        try (TemporaryFolder folder = TemporaryFolder.make();
                DetachedProgram program = shell(folder, "sleep 1000")) {
            assertThatThrownBy(() -> program.await(UP, Duration.ofMillis(50)))
                    .isInstanceOf(TorporException.class)
                    .hasMessageContaining("nothing (one that writes into a pipe may have to flush it)");
        }
    }
}
