package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.Failures;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.TorporException;
import dev.torpor.mps.Mps;
import dev.torpor.mps.MpsStatus;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The Multi-Process Service: its daemon, its clients, and who is none. Without a GPU, a stand-in is the daemon. */
public abstract class MpsContract extends TypedContract {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Mps mps;
    private MpsStatus started;

    @BeforeEach
    void startDaemon() throws IOException {
        Path folder = Files.createTempDirectory("torpor-mps-");
        mps = Mps.at(folder.resolve("pipe"), folder.resolve("log"));
        if (Machine.simulated()) {
            mps = mps.program(Machine.built("simulator/nvidia-cuda-mps-control"));
        }
        try {
            started = mps.start();
        } catch (TorporException e) {
            Assumptions.assumeTrue(Machine.simulated() || e.problem() != Problem.TOOL_MISSING, e.getMessage());
            throw e;
        }
    }

    @AfterEach
    void quitDaemon() throws IOException {
        if (mps.status().running()) {
            mps.forceQuit(Duration.ofSeconds(1), PATIENCE);
        }
        try (var files = Files.walk(mps.pipeFolder().getParent())) {
            files.sorted((a, b) -> b.compareTo(a))
                    .forEach(file -> assertThat(file.toFile().delete()).isTrue());
        }
    }

    /** A process that is a client of the daemon that it finds. */
    private static Target target(Map<String, String> environment) {
        return Target.start(withMps(environment), "--memory", SMALL);
    }

    private static Map<String, String> withMps(Map<String, String> environment) {
        Map<String, String> all = new HashMap<>(environment);
        all.put("TORPOR_SIM_MPS", "1");
        return all;
    }

    @Test
    void theDaemonIsThereUntilItIsQuit() {
        assertThat(started.running()).isTrue();
        assertThat(ProcessHandle.of(started.pid().orElseThrow())).isPresent();
        assertThat(mps.pipeFolder()).satisfies(MpsContract::isPrivate);
        assertThat(mps.logFolder()).satisfies(MpsContract::isPrivate);
        assertThat(failure(Problem.TOOL, mps::start))
                .hasMessageContaining("control daemon " + started.pid().getAsLong());
        assertThat(mps.clients()).isEmpty();

        mps.quit(PATIENCE);
        assertThat(mps.status().state()).isEqualTo(MpsStatus.State.ABSENT);
        failure(Problem.TOOL, mps::servers);
        assertThat(failure(Problem.TOOL, () -> mps.quit(PATIENCE)))
                .hasMessageContaining("there is no control daemon at");

        assertThat(mps.start().running()).as("a second one after it").isTrue();
    }

    private static void isPrivate(Path folder) throws IOException {
        assertThat(Files.getAttribute(folder, "unix:mode")).isEqualTo(0040700);
    }

    @Test
    void aDaemonThatWasKilledLeavesWhatIsToldApart() {
        Machine.assumeSimulator("the daemon is killed");
        long pid = started.pid().orElseThrow();
        assertThat(ProcessHandle.of(pid).orElseThrow().destroyForcibly()).isTrue();
        Awaitility.await().until(() -> mps.status().state() == MpsStatus.State.STALE);
        assertThat(mps.status().reason()).contains("names process " + pid + ", which has ended");
        assertThat(mps.start().pid()).isNotEqualTo(started.pid());
    }

    @Test
    void aClientIsNamedAndCannotBeSuspended() {
        try (Target target = target(mps.clientEnvironment())) {
            List<Long> servers = mps.servers();
            assertThat(servers).hasSize(1);
            assertThat(mps.clients(servers.get(0))).contains((long) target.pid());
            assertThat(mps.isClient(target.pid())).isTrue();
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(Problem.MPS_CLIENT, process::suspend))
                    .hasMessageContaining(
                            mps.pipeFolder() + " (pid " + started.pid().orElseThrow() + ")")
                    .hasMessageContaining("CUDA_MPS_PIPE_DIRECTORY=/dev/null")
                    .hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void withoutNvmlTheLockTellsTheSame() {
        try (Cuda without = Cuda.open(options().nvml("/nowhere/libnvidia-ml.so.1"));
                Target target = target(mps.clientEnvironment())) {
            GpuProcess process = without.process(target.pid());
            assertThat(Failures.failure(Problem.MPS_CLIENT, process::suspend))
                    .hasMessageContaining(mps.pipeFolder().toString());
            target.assertMemoryIntact();
        }
    }

    @Test
    void whoeverIsKeptFromItCanBeSuspended() {
        Map<String, String> environment = new HashMap<>(mps.clientEnvironment());
        environment.putAll(Mps.noClientEnvironment());
        try (Target target = target(environment)) {
            assertThat(mps.isClient(target.pid())).isFalse();
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aDaemonEndsAfterItsClients() {
        try (Target target = target(mps.clientEnvironment())) {
            assertThat(failure(Problem.TOOL, () -> mps.quit(Duration.ofMillis(500))))
                    .hasMessageContaining("has not ended within 500 ms")
                    .hasMessageContaining("waits for process " + target.pid() + ":");
            assertThat(mps.status().running()).isTrue();
        }
        Awaitility.await().atMost(PATIENCE).until(() -> mps.status().state() == MpsStatus.State.ABSENT);
    }

    @Test
    void aDaemonThatMayEndItsServersDoesNotWaitForEver() {
        Machine.assumeSimulator("a client loses its server");
        try (Target target = target(mps.clientEnvironment())) {
            assertThat(mps.isClient(target.pid())).isTrue();
            mps.forceQuit(Duration.ofMillis(1), PATIENCE);
            assertThat(mps.status().running()).isFalse();
        }
    }

    /** A process that initialises CUDA through the library: says whether it is a client, and what Java finds in its environment. */
    public static final class Main {
        private static final int MPS_ENABLED = 133; // CU_DEVICE_ATTRIBUTE_MPS_ENABLED

        private Main() {}

        public static void main(String[] args) {
            CudaOptions options = CudaOptions.defaults().provider(args[0]).library(args[1]);
            CudaOptions chosen = switch (args[2]) {
                case "client" -> options.mpsClient(true);
                case "early" -> options.initializeEarly(0);
                default -> options;
            };
            int[] client = new int[1];
            try (Cuda cuda = Cuda.open(chosen)) {
                cuda.warmUp(0);
                cuda.driver().cuDeviceGetAttribute(client, MPS_ENABLED, 0);
            }
            System.out.println(client[0]);
            System.out.println(System.getenv("CUDA_MPS_PIPE_DIRECTORY"));
        }
    }

    @ParameterizedTest
    @CsvSource({"plain,0", "early,0", "client,1"})
    void aControllerIsAClientOnlyIfItIsAllowedTo(String how, String client) throws Exception {
        ProcessBuilder controller = ChildJvm.of(Main.class, provider(), Machine.libcuda(), how);
        controller.environment().putAll(withMps(mps.clientEnvironment()));
        Process process = controller.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isZero();
        assertThat(said.lines()).containsExactly(client, mps.pipeFolder().toString());
    }
}
