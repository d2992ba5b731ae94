package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.driver.CudaResult;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class StoppedProcessTest {
    @TempDir
    private Path root;

    private Process sleeper;
    private FakeDriver fake;

    @BeforeEach
    void begin() throws IOException {
        sleeper = new ProcessBuilder("sleep", "600").start();
        fake = new FakeDriver(sleeper.pid());
    }

    @AfterEach
    void end() {
        sleeper.destroyForcibly();
    }

    private void signal(String name) throws Exception {
        Process kill = new ProcessBuilder("sh", "-c", "kill -" + name + " " + sleeper.pid()).start();
        assertThat(kill.waitFor(30, TimeUnit.SECONDS)).isTrue();
        char stopped = name.equals("STOP") ? 'T' : 'S';
        Awaitility.await().until(() -> new ProcFs().runState(sleeper.pid()) == stopped);
    }

    private void refused(Runnable act) {
        assertThat(failure(Problem.WRONG_STATE, act::run))
                .hasMessageContaining("Process " + sleeper.pid() + " is stopped (SIGSTOP)")
                .hasMessageContaining("SIGCONT");
    }

    @Test
    void nothingIsAskedOfAStoppedProcess() throws Exception {
        GpuProcess process = fake.process();
        signal("STOP");
        fake.calls.clear();
        refused(process::state);
        refused(process::suspend);
        refused(() -> process.lock(Duration.ofSeconds(10)));
        assertThat(fake.calls).doesNotContain("cuCheckpointProcessGetState", "cuCheckpointProcessLock");
        signal("CONT");
        assertThat(process.suspend().end()).isEqualTo(ProcessState.CHECKPOINTED);
        signal("STOP");
        refused(process::resume);
        refused(() -> Shim.control(sleeper.pid()));
    }

    @Test
    void aListOfProcessesSaysIt() throws Exception {
        signal("STOP");
        assertThat(new ProcessScan(fake.cuda()).run())
                .filteredOn(found -> found.pid() == sleeper.pid())
                .singleElement()
                .satisfies(found -> assertThat(found.note()).isEqualTo("stopped (SIGSTOP)"))
                .satisfies(found -> assertThat(found.state()).isEqualTo(ProcessState.UNKNOWN));
    }

    @Test
    void oneThatDoesNotUseCudaIsRefusedForThat() throws Exception {
        GpuProcess process = fake.process();
        fake.fail("cuCheckpointProcessGetRestoreThreadId", CudaResult.NOT_INITIALIZED);
        fake.fail("cuCheckpointProcessGetState", CudaResult.NOT_INITIALIZED);
        signal("STOP");
        failure(Problem.NOT_A_CUDA_PROCESS, process::state);
    }

    private StoppedProcess inTree(String state, String cgroup) throws IOException {
        Files.createDirectories(root.resolve("7"));
        Files.writeString(
                root.resolve("7/stat"), "7 (sh) " + state + " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
        Files.writeString(root.resolve("7/status"), "Name:\tsh\nTracerPid:\t99\n");
        Files.writeString(root.resolve("7/cgroup"), cgroup);
        return new StoppedProcess(new ProcFs(root.toString()), root.resolve("cgroup"), 7);
    }

    @Test
    void aDebuggerIsNamed() throws IOException {
        assertThat(inTree("t", "0::/\n").reason()).startsWith("stopped by a debugger (process 99): ");
        assertThat(inTree("S", "0::/\n").reason()).isNull();
    }

    @Test
    void aFrozenCgroupIsNamed() throws IOException {
        Path group = Files.createDirectories(root.resolve("cgroup/a/b"));
        Files.writeString(group.resolve("cgroup.events"), "populated 1\nfrozen 1\n");
        assertThat(inTree("S", "0::/a/b\n").reason())
                .startsWith("frozen with its cgroup " + group + ": thaw it (echo 0 > ");
        Files.writeString(group.resolve("cgroup.events"), "populated 1\nfrozen 0\n");
        assertThat(inTree("S", "0::/a/b\n").reason()).isNull();
        Path old = Files.createDirectories(root.resolve("cgroup/freezer/c"));
        Files.writeString(old.resolve("freezer.state"), "FROZEN\n");
        assertThat(inTree("D", "5:freezer:/c\n4:memory:/m\n").reason()).contains("echo THAWED > " + old);
    }
}
