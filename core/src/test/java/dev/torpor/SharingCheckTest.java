package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.driver.CudaResult;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes that the driver would lose, because of what they share with others. */
@Timeout(60)
class SharingCheckTest {
    private final FakeDriver driver = new FakeDriver();

    @TempDir
    private Path directory = Path.of("");

    private FakeShim shim;
    private GpuProcess process;

    @BeforeEach
    void begin() throws IOException {
        shim = new FakeShim(directory);
        process = driver.process(shim.proc());
        shim.heard.clear();
        driver.calls.clear();
    }

    @AfterEach
    void end() {
        shim.close();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anImporterIsRefusedBeforeTheLock(boolean parking) {
        shim.imports = 2;
        Suspend suspend = parking ? Suspend.defaults() : Suspend.defaults().withoutParking();

        assertThat(failure(Problem.NOT_SUPPORTED, () -> process.suspend(suspend)))
                .hasMessageStartingWith("Process " + process.pid() + " imports device memory of other processes")
                .hasMessageContaining("without the check for shared memory")
                .hasMessageContaining("The process was not touched");
        assertThat(driver.calls).doesNotContain("cuCheckpointProcessLock");
        assertThat(shim.heard).allMatch("status"::equals);
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aHolderOfMulticastObjectsIsRefused() {
        shim.multicasts = 1;

        assertThat(failure(Problem.NOT_SUPPORTED, process::suspend)).hasMessageContaining("multicast objects");
        assertThat(driver.calls).doesNotContain("cuCheckpointProcessLock");
    }

    @Test
    void anImporterCanBeParked() {
        shim.imports = 1;

        assertThat(process.suspend(Suspend.to(Level.PARK)).end()).isEqualTo(ProcessState.PARKED);
        assertThat(process.resume().end()).isEqualTo(ProcessState.RUNNING);
    }

    @ParameterizedTest
    @ValueSource(ints = {CudaResult.INVALID_VALUE, CudaResult.NOT_SUPPORTED})
    void overruledTheDriverLosesIt(int answer) {
        shim.imports = 1;

        process.suspend(Suspend.defaults().checkSharing(false));
        driver.fail("cuCheckpointProcessRestore", answer);

        assertThat(failure(Problem.RESTORE_FAILED, process::resume))
                .hasMessageContaining("had device memory of another process open")
                .hasMessageContaining("end the process and start it again");
    }

    @ParameterizedTest
    @ValueSource(ints = {CudaResult.NOT_SUPPORTED, CudaResult.UNKNOWN})
    void managedMemoryIsNamedAtEachTry(int answer) {
        driver.fail("cuCheckpointProcessCheckpoint", answer);

        assertThat(failure(answer == CudaResult.UNKNOWN ? Problem.DRIVER : Problem.NOT_SUPPORTED, process::suspend))
                .hasMessageContaining("most likely managed memory");
        assertThat(driver.state).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void profilersAndDebuggersAreNamed() {
        driver.fail("cuCheckpointProcessLock", CudaResult.NOT_SUPPORTED);

        assertThat(failure(Problem.NOT_SUPPORTED, process::suspend))
                .hasMessageContaining("CUPTI")
                .hasMessageContaining("cuda-gdb");
    }

    private Optional<Failure> refusal(String maps) throws IOException {
        Path own = Files.createDirectories(directory.resolve("other/4711"));
        Files.writeString(own.resolve("maps"), maps);
        Files.writeString(own.resolve("status"), "NSpid:\t4711\n");
        return SharingCheck.refusal(new ProcFs(directory.resolve("other").toString()), 4711, Optional.empty());
    }

    /** As seen on an H200: maker and opener have the maker's file mapped. */
    @Test
    void withoutTheShimObjectsOfAnotherProcessTell() throws IOException {
        String line =
                "205400000-205414000 rw-s 00000000 00:1b 2                                /dev/shm/cuda.shm.0.%x.1\n";

        assertThat(refusal(line.formatted(4446)).orElseThrow().sentence())
                .startsWith("Process 4711 has objects of process 4446 open (CUDA IPC, /dev/shm/cuda.shm.0.115e.1)");
        assertThat(refusal(line.formatted(4711))).isEmpty();
        assertThat(refusal(line.formatted(4711) + line.formatted(1))).isPresent();
        assertThat(refusal("7f00-7f01 r--p 00000000 fe:00 1 /usr/lib/libcuda.so.1\n"))
                .isEmpty();
        assertThat(refusal("")).isEmpty();
    }

    /** The shim counts, so that its word is the better one: an event alone does no harm. */
    @Test
    void theShimKnowsBetter() throws IOException {
        Path own = Files.createDirectories(directory.resolve("other/4711"));
        Files.writeString(own.resolve("maps"), "1-2 rw-s 0 00:1b 2 /dev/shm/cuda.shm.0.115e.1\n");
        ShimStatus counts =
                new ShimStatus("", 4711, ProcessState.RUNNING, 0, 0, 0, 0, 0, 0, OptionalLong.empty(), Map.of());

        assertThat(SharingCheck.refusal(new ProcFs(directory.resolve("other").toString()), 4711, Optional.of(counts)))
                .isEmpty();
    }
}
