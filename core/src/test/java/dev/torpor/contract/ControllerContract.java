package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.TorporException;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A controller killed at any point leaves a target that another one resumes, with its memory intact. */
public abstract class ControllerContract extends TypedContract {
    private static final Map<String, String> SLOW = new SimulatorFaults()
            .slow("cuCheckpointProcessCheckpoint", 100)
            .slow("cuCheckpointProcessRestore", 100)
            .environment();

    @BeforeEach
    void killsInTheMiddle() {
        Machine.assumeSimulator("a process killed in the middle can hang some GPU hosts");
    }

    /** A controller in a JVM of its own: says what it begins, does it, says that it is done, and waits to be killed. */
    public static final class Main {
        private Main() {}

        public static void main(String[] args) throws InterruptedException {
            CudaOptions options = CudaOptions.defaults().provider(args[0]).library(args[1]);
            try (Cuda cuda = Cuda.open(options)) {
                GpuProcess process = cuda.process(Long.parseLong(args[2]));
                for (String step : args[3].split(",")) {
                    System.out.println(step);
                    switch (step) {
                        case "lock" -> process.lock(Duration.ofSeconds(5));
                        case "checkpoint" -> process.checkpoint();
                        case "restore" -> process.restore();
                        case "unlock" -> process.unlock();
                        case "suspend" -> process.suspend();
                        default -> throw new IllegalArgumentException(step);
                    }
                }
                System.out.println("done");
                Thread.sleep(Duration.ofMinutes(5).toMillis());
            }
        }
    }

    /** Runs a controller until it says the word, and kills it; what it had asked the driver for is under way or done then. */
    private void killAt(String word, Target target, String steps) throws Exception {
        Process controller = ChildJvm.of(Main.class, provider(), Machine.libcuda(), target.pid(), steps)
                .start();
        try (BufferedReader lines = controller.inputReader(StandardCharsets.UTF_8)) {
            String line;
            do {
                line = lines.readLine();
                assertThat(line).as("the controller says " + word).isNotNull();
            } while (!line.equals(word));
            if (!word.equals("done")) {
                awaitTransition(target);
            }
            controller.destroyForcibly();
            assertThat(controller.waitFor(60, TimeUnit.SECONDS)).isTrue();
        }
    }

    /** While a transition runs, the driver does not tell the state. */
    private void awaitTransition(Target target) {
        GpuProcess process = cuda.process(target.pid());
        Awaitility.await()
                .atMost(Duration.ofSeconds(20))
                .pollDelay(Duration.ZERO)
                .until(() -> {
                    try {
                        process.state(Duration.ofMillis(50));
                        return false;
                    } catch (TorporException e) {
                        return e.problem() == Problem.UNRESPONSIVE;
                    }
                });
    }

    @ParameterizedTest(name = "killed at \"{0}\" of {1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "done | lock | 1",
                "checkpoint | lock,checkpoint | 2",
                "done | lock,checkpoint | 2",
                "restore | lock,checkpoint,restore | 1",
                "done | lock,checkpoint,restore | 1"
            })
    void whatAKilledControllerLeavesIsResumed(String word, String steps, int state) throws Exception {
        try (Target target = Target.start(SLOW, "--memory", "64M")) {
            killAt(word, target, steps);
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.state()).isEqualTo(ProcessState.of(state));
            process.resume();
            target.assertMemoryIntact();
        }
    }
}
