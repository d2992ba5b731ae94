package dev.torpor.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CommandTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    private static Command shell(String script) {
        return Command.of(List.of("/bin/sh", "-c", script));
    }

    @Test
    void whatItSaysAndHowItEndsIsTold() {
        Command.Ended ended = shell("read line; echo \"$line $WORD\"; echo oh >&2; exit 3")
                .environment(Map.of("WORD", "there"))
                .input("hello\n")
                .run(LONG);

        assertThat(ended).isEqualTo(new Command.Ended(true, 3, "hello there\n", "oh\n"));
        assertThat(ended.good()).isFalse();
        assertThat(ended.lastWords()).isEqualTo("oh");
    }

    @Test
    void oneThatTakesTooLongIsKilled() {
        Command.Ended ended = shell("echo begun; exec sleep 600").run(Duration.ofMillis(300));

        assertThat(ended.inTime()).isFalse();
        assertThat(ended.output()).isEqualTo("begun\n");
        assertThat(ended.lastWords()).isEqualTo("begun");
    }

    @Test
    void whatItStartsWhenItsOwnAreKilledIsKilledToo() {
        Command.Ended ended =
                shell("for i in 1 2 3; do sleep 600 & echo $!; wait $!; done").run(Duration.ofMillis(300));

        assertThat(ended.inTime()).isFalse();
        assertThat(ended.output().lines())
                .isNotEmpty()
                .allSatisfy(pid ->
                        assertThat(new ProcFs().startTime(Long.parseLong(pid))).isNegative());
    }

    @Test
    void oneThatIsShieldedDoesNotHearWhatEndsItsCaller() {
        String script =
                "for s in INT HUP TERM; do kill -$s $$; done; cut -d' ' -f6 /proc/$$/stat; echo \"$1 $$\"; exit 3";
        Command command =
                Command.of(List.of("/bin/sh", "-c", script, "sh", "a 'word'")).shielded();

        Command.Ended ended = command.run(LONG);

        assertThat(ended.status()).isEqualTo(3);
        List<String> lines = ended.output().lines().map(String::strip).toList();
        assertThat(lines).containsExactly(lines.get(0), "a 'word' " + lines.get(0));
        assertThat(command).hasToString("/bin/sh -c " + script + " sh a 'word'");
    }

    @Test
    void oneThatIsShieldedIsKilledAsAnyOther() {
        Command.Ended ended =
                shell("echo $$; sleep 600 & echo $!; wait").shielded().run(Duration.ofSeconds(1));

        assertThat(ended.inTime()).isFalse();
        assertThat(ended.output().lines())
                .hasSize(2)
                .allSatisfy(pid ->
                        assertThat(new ProcFs().startTime(Long.parseLong(pid))).isNegative());
    }

    @Test
    void aDaemonThatItLeavesBehindIsNotWaitedFor() {
        long before = System.nanoTime();
        assertThat(shell("sleep 20 & echo $!").run(LONG).good()).isTrue();

        assertThat(Duration.ofNanos(System.nanoTime() - before)).isLessThan(Duration.ofSeconds(15));
    }

    @Test
    void whatIsNotReadIsNoFailure() {
        assertThat(shell("exit 0").input("x".repeat(1 << 20)).run(LONG).good()).isTrue();
    }

    @Test
    void anInterruptIsKeptForLater() {
        Thread.currentThread().interrupt();

        assertThat(shell("sleep 0.2; echo done").run(LONG).output()).isEqualTo("done\n");
        assertThat(Thread.interrupted()).isTrue();
    }

    @Test
    void aProgramThatIsNotThereIsASentence() {
        assertThatExceptionOfType(TorporException.class)
                .isThrownBy(() -> Command.of(List.of("/nowhere/tool")).run(LONG))
                .withMessageStartingWith("/nowhere/tool cannot be started: ")
                .extracting(TorporException::problem)
                .isEqualTo(Problem.TOOL_MISSING);
    }

    @Test
    void programsAreFoundInPathAndThenElsewhere() {
        assertThat(Command.find("sh"))
                .get()
                .satisfies(found -> assertThat(found).isExecutable());
        assertThat(Command.find("no-such-program", "/usr/bin")).isEmpty();
        assertThat(Command.find("env", "/usr/bin"))
                .get()
                .extracting(Path::getFileName)
                .hasToString("env");
    }

    @Test
    void onlyPrintableTextGetsIntoSentences() {
        assertThat(new Command.Ended(true, 1, "", "\u001b[31mred").lastWords()).isEqualTo("?[31mred");
        assertThat(new Command.Ended(true, 1, "", "").lastWords()).isEmpty();
        assertThat(new Command.Ended(true, 1, "x".repeat(500), "").lastWords()).hasSize(401);
    }
}
