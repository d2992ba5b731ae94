package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.torpor.contract.Machine;
import dev.torpor.contract.NeedsTmux;
import dev.torpor.contract.Programs;
import dev.torpor.contract.SimulatorFaults;
import dev.torpor.contract.Target;
import dev.torpor.tools.Command;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command line at a terminal: what its user sees and types. */
@NeedsTmux
class TerminalIT {
    private static final Path LAUNCHER = Path.of(System.getProperty("torpor.test.launcher", "target/torpor"));
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final Map<String, String> SLOW = new SimulatorFaults()
            .delay("cuCheckpointProcessCheckpoint", Duration.ofSeconds(3))
            .delay("cuCheckpointProcessRestore", Duration.ofSeconds(3))
            .environment();

    @TempDir
    private Path directory = Path.of("");

    private Path program = Path.of("");
    private int servers;

    @BeforeEach
    void begin() {
        Machine.assumeSimulator("the driver must be slow");
        program = Programs.tmux();
    }

    @AfterEach
    void end() {
        if (!program.toString().isEmpty()) { // else it is missing, and the test was skipped
            tmux("kill-server");
        }
    }

    private Command.Ended tmux(String... arguments) {
        List<String> command = new ArrayList<>(List.of( // the build may have been started with signals ignored
                "env",
                "--default-signal",
                program.toString(),
                "-S",
                directory.resolve("tmux-" + servers).toString(),
                "-f",
                "/dev/null"));
        command.addAll(List.of(arguments));
        return Command.of(command).run(PATIENCE);
    }

    /** Runs torpor in a new terminal of this width; its exit code goes into a file. */
    private void type(int columns, String settings, String arguments) throws Exception {
        Path script = directory.resolve("script");
        StringBuilder text = new StringBuilder("#!/bin/sh\ntrap : INT\n"); // Ctrl-C reaches this shell, too
        Machine.environment()
                .forEach((name, value) -> text.append("export ")
                        .append(name)
                        .append("='")
                        .append(value)
                        .append("'\n"));
        text.append(settings)
                .append("\n'")
                .append(LAUNCHER.toAbsolutePath())
                .append("' ")
                .append(arguments)
                .append("\necho $? >code.new; mv code.new code; exec sleep 600\n");
        Files.writeString(script, text);
        Files.deleteIfExists(directory.resolve("code"));
        servers++; // one that was killed may still be ending
        assertThat(tmux(
                                "new-session",
                                "-d",
                                "-x",
                                Integer.toString(columns),
                                "-y",
                                "24",
                                "-c",
                                directory.toString(),
                                "sh '" + script + "'")
                        .good())
                .isTrue();
    }

    private String screen() {
        return tmux("capture-pane", "-p", "-J").output();
    }

    private void awaitOnScreen(String words) {
        await().atMost(PATIENCE).until(this::screen, seen -> seen.contains(words));
    }

    private void press(String key) {
        assertThat(tmux("send-keys", key).good()).isTrue();
    }

    private int code() throws Exception {
        Path code = directory.resolve("code");
        await().atMost(PATIENCE).until(() -> Files.exists(code));
        return Integer.parseInt(Files.readString(code).strip());
    }

    @Test
    void controlCUndoesASuspend() throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            type(100, "", "suspend " + target.pid());
            awaitOnScreen("checkpoint ");
            press("C-c");
            awaitOnScreen("stopping: ");
            assertThat(code()).isEqualTo(130);
            assertThat(screen())
                    .contains("torpor: SIGINT: The suspend of process " + target.pid()
                            + " was cancelled after step checkpoint. It is still running.");
            target.assertMemoryIntact();
        }
    }

    @Test
    void controlCUndoesAResume() throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            type(100, "", "suspend " + target.pid());
            assertThat(code()).isZero();
            tmux("kill-server");
            type(100, "", "resume " + target.pid());
            awaitOnScreen("restore ");
            press("C-c");
            assertThat(code()).isEqualTo(130);
            assertThat(screen()).contains("was cancelled after step restore. It is still checkpointed.");
            tmux("kill-server");
            type(100, "", "resume " + target.pid());
            assertThat(code()).isZero();
            target.assertMemoryIntact();
        }
    }

    @Test
    void controlCTwiceLeavesAndSaysWhatToType() throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            type(200, "", "suspend " + target.pid());
            awaitOnScreen("checkpoint ");
            press("C-c");
            awaitOnScreen("stopping: ");
            press("C-c");
            assertThat(code()).isEqualTo(130);
            assertThat(screen())
                    .contains("A second signal (SIGINT) ended this at once.", "`torpor resume " + target.pid() + "`");
            tmux("kill-server");
            await().atMost(PATIENCE).until(() -> {
                type(100, "", "state " + target.pid());
                boolean done = code() == 0 && screen().contains("checkpointed");
                tmux("kill-server");
                return done;
            });
            type(100, "", "resume " + target.pid());
            assertThat(code()).isZero();
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "export LC_ALL=C", "export COLUMNS=200"})
    void theBarFitsANarrowTerminal(String settings) throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            type(20, settings, "suspend " + target.pid() + " >/dev/null");
            awaitOnScreen("checkpoint");
            while (!Files.exists(directory.resolve("code"))) {
                assertThat(screen().strip().lines().filter(line -> !line.isBlank()))
                        .hasSizeLessThanOrEqualTo(1);
            }
            assertThat(code()).isZero();
            assertThat(screen()).isBlank();
            tmux("kill-server");
            type(20, settings, "resume " + target.pid() + " >/dev/null");
            assertThat(code()).isZero();
            target.assertMemoryIntact();
        }
    }
}
