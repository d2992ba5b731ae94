package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.torpor.contract.Machine;
import dev.torpor.contract.SimulatorFaults;
import dev.torpor.contract.Target;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The command line as a process that is stopped by signals, or whose output is lost. */
class StopIT {
    private static final String LAUNCHER = System.getProperty("torpor.test.launcher", "target/torpor");
    private static final Map<String, String> SLOW = new SimulatorFaults()
            .delay("cuCheckpointProcessCheckpoint", Duration.ofSeconds(3))
            .delay("cuCheckpointProcessRestore", Duration.ofSeconds(3))
            .environment();

    @TempDir
    private Path directory = Path.of("");

    @BeforeEach
    void needsDelays() {
        Machine.assumeSimulator("the driver must be slow");
    }

    private Run torpor(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(LAUNCHER));
        command.addAll(List.of(arguments));
        return Run.of(directory, command);
    }

    /** The build may have been started with signals ignored, as what a shell runs in the background is; this command is not. */
    private static Process start(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("env", "--default-signal", "setsid", LAUNCHER));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().putAll(Machine.environment());
        return builder.start();
    }

    private static void signal(Process process, String name) throws Exception {
        assertThat(new ProcessBuilder("sh", "-c", "kill -" + name + " " + process.pid())
                        .start()
                        .waitFor())
                .isZero();
    }

    private static String rest(BufferedReader reader) throws Exception {
        return reader.lines().reduce("", (all, line) -> all + line + "\n");
    }

    private static String pid(Target target) {
        return Integer.toString(target.pid());
    }

    /** Until the target is locked, and a check of its memory waits: its answer is to be heard later. */
    private static void awaitLock(Target target, Process torpor) {
        await().atMost(Duration.ofMinutes(1)).until(() -> {
            target.send("check");
            return target.hear(Duration.ofSeconds(1)) == null || !torpor.isAlive();
        });
    }

    @ParameterizedTest
    @CsvSource({"TERM, 143", "HUP, 129"})
    void aSuspendIsUndone(String name, int code) throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            Process torpor = start("suspend", pid(target));
            awaitLock(target, torpor);
            signal(torpor, name);
            assertThat(torpor.waitFor(1, TimeUnit.MINUTES)).isTrue();
            assertThat(torpor.exitValue()).isEqualTo(code);
            assertThat(rest(torpor.errorReader()))
                    .matches("torpor: SIG" + name + ": The suspend of process " + target.pid()
                            + " was cancelled after step \\w+[.] It is still running[.]\n");
            assertThat(target.hear(Duration.ofSeconds(30))).startsWith("OK"); // the check that waited
            target.assertMemoryIntact();
        }
    }

    @Test
    void theSecondSignalLeavesAtOnce() throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "8M")) {
            Process torpor = start("suspend", pid(target));
            awaitLock(target, torpor);
            signal(torpor, "TERM");
            await().pollInSameThread().until(() -> {
                if (torpor.isAlive()) {
                    signal(torpor, "TERM");
                }
                return !torpor.isAlive();
            });
            assertThat(torpor.waitFor()).isEqualTo(143);
            assertThat(rest(torpor.errorReader()))
                    .startsWith("torpor: A second signal (SIGTERM) ended this at once. ")
                    .contains("`torpor state " + target.pid() + "`", "`torpor resume " + target.pid() + "`");
            await().atMost(Duration.ofMinutes(1))
                    .until(() -> torpor("state", pid(target)).out().startsWith("checkpointed"));
            torpor("resume", pid(target));
            assertThat(target.hear(Duration.ofSeconds(30))).startsWith("OK");
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"INT", "TERM", "HUP"})
    void aKeeperEndsWell(String name) throws Exception {
        Process keeper = start("keep");
        assertThat(keeper.inputReader().readLine()).startsWith("READY ");
        signal(keeper, name);
        assertThat(keeper.waitFor(1, TimeUnit.MINUTES)).isTrue();
        assertThat(keeper.exitValue()).isZero();
        assertThat(rest(keeper.errorReader())).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {">/dev/full", ">&-"})
    void lostOutputIsToldAndATransitionGoesOn(String where) throws Exception {
        try (Target target = Target.start("--memory", "8M")) {
            for (String command : List.of("ps", "suspend " + target.pid(), "resume --json " + target.pid(), "keep")) {
                Run run = Run.of(directory, List.of("sh", "-c", "'" + LAUNCHER + "' " + command + " " + where));
                assertThat(run.code()).as(run.toString()).isEqualTo(15);
                assertThat(run.err()).contains("torpor: The output was lost, as stdout cannot be written");
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void aReaderThatHasLeftEndsNoTransition() throws Exception {
        try (Target target = Target.start("--memory", "8M")) {
            Process torpor = start("suspend", pid(target));
            torpor.getInputStream().close();
            assertThat(new String(torpor.getErrorStream().readAllBytes(), StandardCharsets.UTF_8))
                    .contains("(Broken pipe)");
            assertThat(torpor.waitFor()).isEqualTo(15);
            assertThat(torpor("resume", pid(target)).code()).isZero();
            target.assertMemoryIntact();
        }
    }

    @Test
    void toggleSwapsWhereOnlyOneFits() throws Exception {
        Map<String, String> small = Map.of(
                "TORPOR_SIM_DIR", directory.resolve("small").toString(),
                "TORPOR_SIM_MEMORY", "256M",
                "TORPOR_SIM_DEVICES", "1");
        try (Target one = Target.start(small, "--memory", "160M")) {
            List<String> command = List.of(LAUNCHER, "suspend", pid(one));
            assertThat(Run.of(directory, small, command).code()).isZero();
            try (Target two = Target.start(small, "--memory", "160M")) {
                for (List<String> order : List.of(
                        List.of(pid(one), pid(two)), List.of(pid(one), pid(two)), List.of(pid(two), pid(one)))) {
                    List<String> toggle = List.of(LAUNCHER, "toggle", order.get(0), order.get(1));
                    Run run = Run.of(directory, small, toggle);
                    assertThat(run.code()).as(run.toString()).isZero();
                }
                one.assertMemoryIntact();
                Run none = Run.of(directory, small, List.of(LAUNCHER, "toggle", pid(two)));
                assertThat(none.code()).as(none.toString()).isEqualTo(7);
                Run back = Run.of(directory, small, List.of(LAUNCHER, "toggle", pid(one), pid(two)));
                assertThat(back.code()).as(back.toString()).isZero();
                two.assertMemoryIntact();
            }
            assertThat(Run.of(directory, small, List.of(LAUNCHER, "resume", pid(one)))
                            .code())
                    .isZero();
            one.assertMemoryIntact();
        }
    }
}
