package dev.torpor.examples.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.torpor.TorporException;
import dev.torpor.tools.ProcFs;
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
    private static final Pattern NUMBER = Pattern.compile("^\\d+$");
    private static final ProcFs PROC = new ProcFs();
    private static final Duration LIMIT = Duration.ofSeconds(50);

    private static DetachedProgram shell(TemporaryFolder folder, String script) {
        return DetachedProgram.start(List.of("sh", "-c", script), Map.of("WORD", "up"), folder.path());
    }

    private static boolean isAlive(long pid) {
        return PROC.startTime(pid) >= 0;
    }

    private static List<Long> session(DetachedProgram program) {
        return PROC.processes().stream()
                .filter(pid -> isAlive(pid) && sessionOf(pid).equals(Long.toString(program.pid())))
                .toList();
    }

    private static String sessionOf(long pid) {
        String stat = ProcFs.readFile(PROC.file(pid, "stat"));
        return stat == null ? "" : stat.substring(stat.lastIndexOf(')') + 2).split(" ", 5)[3];
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
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "sleep 1000 & echo $!; wait");
            long child = Long.parseLong(program.await(NUMBER, LIMIT));
            program.close();
            assertThat(isAlive(child)).isFalse();
            assertThat(session(program)).isEmpty();
        }
    }

    @Test
    void itsChildrenEndAlsoIfItHasEndedBefore() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "sleep 1000 & echo $!");
            long child = Long.parseLong(program.await(NUMBER, LIMIT));
            await().until(() -> !isAlive(program.pid()));
            assertThat(isAlive(child)).isTrue();
            program.close();
            assertThat(isAlive(child)).isFalse();
        }
    }

    @Test
    void aChildWithASessionOfItsOwnEndsToo() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "setsid sh -c 'echo $$; exec sleep 1000'");
            long child = Long.parseLong(program.await(NUMBER, LIMIT));
            program.close();
            assertThat(isAlive(child)).isFalse();
        }
    }

    @RepeatedTest(5)
    void whoForksAllTheTimeEnds() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "echo $WORD; while :; do sleep 1000 & sleep 0.001; done");
            program.await(UP, LIMIT);
            program.close();
            assertThat(session(program)).isEmpty();
        }
    }

    /** It has no session of its own yet. */
    @RepeatedTest(10)
    void closedAsSoonAsItIsStartedItEnds() {
        try (TemporaryFolder folder = TemporaryFolder.make()) {
            DetachedProgram program = shell(folder, "echo $WORD; sleep 1000");
            program.close();
            assertThat(isAlive(program.pid())).isFalse();
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
