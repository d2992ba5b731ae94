package dev.torpor.contract;

import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Phase;
import dev.torpor.Problem;
import dev.torpor.ProcessInfo;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Shim;
import dev.torpor.ShimControl;
import dev.torpor.ShimOptions;
import dev.torpor.ShimStatus;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Targets under the real shim, parked and unparked. Every test ends by looking at the target's memory. */
public abstract class ParkContract extends TypedContract {
    private static final Suspend PARK = Suspend.to(Level.PARK);
    private static final Suspend CHECKPOINT = Suspend.to(Level.CHECKPOINT);
    private static final long CHECK_MARGIN = 64L << 20;
    private static final long FOR_A_CONTEXT = 640L << 20; // as a parked process has it: up to 540 MiB on an H100

    @TempDir
    private Path directory;

    private Target start(ShimOptions options, Map<String, String> more, String... arguments) {
        Map<String, String> environment = new HashMap<>(more);
        Shim.extract().preload(environment, options.folder(directory.resolve("run")));
        return Target.start(environment, arguments);
    }

    private Target start(String... arguments) {
        return start(ShimOptions.defaults(), Map.of(), arguments);
    }

    @Test
    void theSocketIsInAFolderOfItsUsersAlone() throws Exception {
        try (Target target = start("--memory", SMALL)) {
            Path folder = directory.resolve("run");
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
                    .isEqualTo("rwx------");
            assertThat(folder.resolve(target.pid() + ".sock")).exists();
            ShimStatus status = Shim.control(target.pid()).status();
            assertThat(status.pid()).isEqualTo(target.pid());
            assertThat(status.version()).isEqualTo(Shim.extract().version());
            assertThat(status.state()).isEqualTo(ProcessState.RUNNING);
            assertThat(status.parkableBytes()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(status.parkedBytes()).isZero();
            target.assertMemoryIntact();
        }
    }

    @Test
    void withoutASettingItIsInTheDefaultFolder() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment);
        try (Target target = Target.start(environment, "--memory", SMALL)) {
            assertThat(Shim.control(target.pid()).status().pid()).isEqualTo(target.pid());
            target.assertMemoryIntact();
        }
    }

    @Test
    void aParkFreesTheMemoryAndAResumeGivesItBack() {
        try (Target target = start("--memory", "256M")) {
            GpuProcess process = cuda.process(target.pid());
            long freeBefore = freeBytes();
            Report down = process.suspend(PARK);
            assertThat(names(down.steps())).containsExactly("park");
            assertThat(down.end()).isEqualTo(ProcessState.PARKED);
            Phase park = down.steps().get(0);
            assertThat(park.bytes().orElseThrow()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(names(park.parts())).contains("wait", "copy", "release");
            assertThat(freeBytes() - freeBefore).isGreaterThanOrEqualTo(target.bytes());
            assertThat(process.state()).isEqualTo(ProcessState.PARKED);
            assertThat(cuda.processes())
                    .filteredOn(info -> info.pid() == target.pid())
                    .extracting(ProcessInfo::state)
                    .containsExactly(ProcessState.PARKED);
            Report up = process.resume();
            assertThat(names(up.steps())).containsExactly("unpark");
            assertThat(names(up.steps().get(0).parts())).contains("map", "copy");
            assertThat(up.end()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aCheckpointIsParkedFirstAndTheResumeUnparks() {
        try (Target target = start("--memory", "256M")) {
            GpuProcess process = cuda.process(target.pid());
            for (int round = 0; round < 3; round++) {
                Report down = process.suspend(CHECKPOINT);
                assertThat(names(down.steps())).containsExactly("park", "lock", "checkpoint");
                assertThat(down.driverOnly()).isEmpty();
                assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
                assertThat(process.deviceMemory()).isEmpty();
                assertThat(names(process.resume().steps())).containsExactly("restore", "unlock", "unpark");
                target.tell("fill " + round);
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void anotherControllerResumesIt() {
        try (Target target = start("--memory", "256M")) {
            cuda.process(target.pid()).suspend(PARK);
            cuda.process(target.pid()).suspend(CHECKPOINT);
            cuda.process(target.pid()).resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aGroupIsParkedBesideProcessesWithoutTheShim() {
        try (Target one = start("--memory", SMALL);
                Target two = Target.start("--memory", SMALL)) {
            GpuGroup group = GpuGroup.of(List.of(cuda.process(one.pid()), cuda.process(two.pid())));
            List<Report> down = group.suspend(CHECKPOINT);
            assertThat(names(down.get(0).steps())).containsExactly("park", "lock", "checkpoint");
            assertThat(names(down.get(1).steps())).containsExactly("lock", "checkpoint");
            List<Report> up = group.resume(Resume.defaults());
            assertThat(names(up.get(0).steps())).containsExactly("restore", "unlock", "unpark");
            one.assertMemoryIntact();
            two.assertMemoryIntact();
        }
    }

    @Test
    void theSingleStepsMayBeTakenOneByOne() {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.park();
            process.lock(Duration.ofSeconds(5));
            process.checkpoint();
            process.restore();
            failure(Problem.WRONG_STATE, process::unpark);
            assertThat(process.unlock().end()).isEqualTo(ProcessState.PARKED);
            failure(Problem.WRONG_STATE, process::park);
            assertThat(process.unpark().end()).isEqualTo(ProcessState.RUNNING);
            failure(Problem.WRONG_STATE, process::unpark);
            target.assertMemoryIntact();
        }
    }

    @Test
    void aParkedProcessWaitsAndGoesOn() {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.park();
            target.send("fill 7");
            assertThat(target.hear(Duration.ofMillis(300))).isNull();
            process.unpark();
            assertThat(target.hear(Duration.ofSeconds(10))).isEqualTo("OK");
            target.assertMemoryIntact();
        }
    }

    @Test
    void workThatDoesNotEndInTimeLeavesTheProcessRunning() {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            target.tell("spin 2000");
            assertThat(failure(Problem.LOCK_TIMEOUT, () -> process.suspend(PARK.lockTimeout(Duration.ofMillis(100)))))
                    .hasMessageContaining("busy")
                    .hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.tell("sync");
            process.suspend(PARK);
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void hostMemoryIsPreparedKeptAndReleased() {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            ShimControl shim = process.shim().orElseThrow();
            assertThat(shim.prepare().bytes().orElseThrow()).isGreaterThanOrEqualTo(target.bytes());
            process.park();
            process.unpark();
            assertThat(shim.status().arenaBytes()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(shim.release()).isGreaterThanOrEqualTo(target.bytes());
            assertThat(shim.status().arenaBytes()).isZero();
            assertThat(shim.statistics().values()).isNotEmpty();
            target.assertMemoryIntact();
        }
    }

    @Test
    void itIsParkedIntoFilesThatGo() throws Exception {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            Path folder = Files.createDirectory(directory.resolve("an arena"));
            Path moved = directory.resolve("moved elsewhere");
            process.suspend(CHECKPOINT.arena(folder));
            assertThat(bytes(folder)).isGreaterThanOrEqualTo(target.bytes());
            process.resume();
            assertThat(folder).isEmptyDirectory();
            process.suspend(PARK.arena(folder));
            assertThat(process.shim().orElseThrow().status().arenaBytes()).isZero();
            Files.move(folder, moved);
            assertThat(failure(Problem.ARENA, process::resume)).hasMessageContaining(folder.toString());
            assertThat(bytes(moved)).isGreaterThanOrEqualTo(target.bytes());
            process.resume(Resume.defaults().storedAt(moved));
            assertThat(moved).isEmptyDirectory();
            target.assertMemoryIntact();
        }
    }

    @Test
    void itIsParkedIntoFilesThatMayMoveAndStay() throws Exception {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            Path folder = Files.createDirectory(directory.resolve("stored"));
            Path moved = directory.resolve("moved elsewhere");
            process.suspend(CHECKPOINT.storeAt(folder));
            Files.move(folder, moved);
            assertThat(failure(Problem.ARENA, process::resume)).hasMessageContaining(folder.toString());
            assertThat(process.state()).isEqualTo(ProcessState.PARKED);
            process.resume(Resume.defaults().storedAt(moved));
            target.assertMemoryIntact();
            assertThat(bytes(moved)).isGreaterThanOrEqualTo(target.bytes());
        }
    }

    private static long bytes(Path folder) throws IOException {
        long sum = 0;
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "memory-*")) {
            for (Path file : files) {
                sum += Files.size(file);
            }
        }
        return sum;
    }

    @Test
    void aFolderWithOneOfTheFilesIsLeftAlone() throws Exception {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            Path folder = Files.createDirectory(directory.resolve("stored"));
            Path taken = Files.writeString(folder.resolve("memory-01"), "mine");
            for (Suspend into : List.of(PARK.storeAt(folder), PARK.arena(folder))) {
                assertThat(failure(Problem.ARENA, () -> process.suspend(into)))
                        .hasMessageContaining(taken.toString())
                        .hasMessageEndingWith("It is still running.");
                assertThat(folder.toFile().list()).containsExactly("memory-01");
                assertThat(taken).hasContent("mine");
            }
            failure(Problem.ARENA, () -> process.suspend(PARK.storeAt(directory.resolve("missing"))));
            failure(Problem.ARENA, () -> process.suspend(PARK.arena(directory.resolve("missing"))));
            target.assertMemoryIntact();
        }
    }

    @Test
    void whereParkingIsOffTheDriverDoesIt() {
        try (Target target = start(ShimOptions.defaults().park(false), Map.of(), "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            Report down = process.suspend();
            assertThat(names(down.steps())).containsExactly("lock", "checkpoint");
            assertThat(down.driverOnly()).contains("parking is off");
            process.resume();
            failure(Problem.NOT_SUPPORTED, () -> process.suspend(PARK));
            target.assertMemoryIntact();
        }
    }

    @Test
    void theShimCanBeLeftAside() {
        try (Target target = start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(Shim.control(target.pid()).status().parkableBytes()).isPositive();
            assertThat(names(process.suspend(CHECKPOINT.withoutParking()).steps()))
                    .containsExactly("lock", "checkpoint");
            assertThat(names(process.resume().steps())).containsExactly("restore", "unlock");
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "cuCheckpointProcessLock, 600, LOCK_TIMEOUT",
        "cuCheckpointProcessCheckpoint, 2, HOST_MEMORY",
        "cuCheckpointProcessCheckpoint, 999, DRIVER",
    })
    void aFailureOfTheDriverIsUndoneToTheUnpark(String function, int result, Problem problem) {
        Machine.assumeSimulator("a real driver does not fail on demand");
        Map<String, String> faults =
                new SimulatorFaults().fail(function + "#1", result).environment();
        try (Target target = start(ShimOptions.defaults(), faults, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            TorporException e = failure(problem, process::suspend);
            assertThat(names(e.report().orElseThrow().undone())).endsWith("unpark");
            assertThat(e).hasMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cuCheckpointProcessRestore", "cuCheckpointProcessUnlock"})
    void aResumeThatTheDriverFailsGoesOnFromThere(String function) {
        Machine.assumeSimulator("a real driver does not fail on demand");
        Map<String, String> faults =
                new SimulatorFaults().fail(function + "#1", 999).environment();
        try (Target target = start(ShimOptions.defaults(), faults, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            TorporException e =
                    failure(function.endsWith("Restore") ? Problem.RESTORE_FAILED : Problem.DRIVER, process::resume);
            assertThat(e).hasMessageEndingWith(", and parked.");
            assertThat(names(process.resume().steps())).endsWith("unpark");
            target.assertMemoryIntact();
        }
    }

    @Test
    void anUnparkWithoutRoomLeavesTheProcessParkedAndCanBeRepeated() {
        try (Target target = start("--memory", "768M")) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend();
            try (Target occupant = Target.start("--memory", SMALL)) {
                occupant.tell("alloc " + (freeBytes() - FOR_A_CONTEXT));
                failure(Problem.DEVICE_MEMORY, process::resume);
                assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
                Resume unchecked = Resume.defaults().checkDeviceMemory(false);
                TorporException e = failure(Problem.DEVICE_MEMORY, () -> process.resume(unchecked));
                assertThat(e).hasMessageContaining("are missing").hasMessageEndingWith("It is parked now.");
                assertThat(names(e.report().orElseThrow().steps())).containsExactly("restore", "unlock");
                failure(Problem.DEVICE_MEMORY, process::resume);
                occupant.tell("free");
                occupant.assertMemoryIntact();
            }
            assertThat(names(process.resume().steps())).containsExactly("unpark");
            target.assertMemoryIntact();
        }
    }

    @Test
    void roomIsLookedForAlsoByAControllerThatDidNotSuspendIt() {
        try (Target target = start("--memory", "512M")) {
            assertThat(names(cuda.process(target.pid()).suspend().steps())).contains("park");
            GpuProcess other = cuda.process(target.pid());
            try (Target occupant = Target.start("--memory", SMALL)) {
                occupant.tell("alloc " + (freeBytes() - CHECK_MARGIN));
                failure(Problem.DEVICE_MEMORY, other::resume);
                assertThat(other.state()).isEqualTo(ProcessState.CHECKPOINTED);
                occupant.tell("free");
                occupant.assertMemoryIntact();
            }
            other.resume();
            target.assertMemoryIntact();
        }
    }

    /** As with a controller of another container: neither knows of the other. */
    @Test
    void aSuspendThatFailsLeavesWhatAnotherControllerHasDone() throws Exception {
        Machine.assumeSimulator("a fault is injected");
        try (Target target = start("--memory", SMALL)) {
            ProcessBuilder late =
                    ChildJvm.of(ControllerContract.Main.class, provider(), Machine.libcuda(), target.pid(), "suspend");
            late.environment().put("TORPOR_SIM_FAULTS", "cuCheckpointProcessLock=delay:2000,401");
            late.redirectErrorStream(true);
            Process other = late.start();
            GpuProcess process = cuda.process(target.pid());
            await().atMost(Duration.ofSeconds(30)).until(() -> process.state().equals(ProcessState.PARKED));
            assertThat(process.suspend().end()).isEqualTo(ProcessState.CHECKPOINTED);
            String said = new String(other.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(other.waitFor()).as(said).isNotZero();
            assertThat(said)
                    .contains("Another controller is at work on the process, and it was left as that one has it.")
                    .contains("It is checkpointed now, and parked.");
            assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
            process.resume();
            target.assertMemoryIntact();
        }
    }

    /** The shim parks on, and answers questions meanwhile. */
    @Test
    void aParkThatIsGivenUpIsWaitedForAndUndone() throws Exception {
        Machine.assumeSimulator("a fault is injected");
        Map<String, String> slow = new SimulatorFaults()
                .delay("cuMemUnmap#1", Duration.ofSeconds(3))
                .environment();
        try (Target target = start(ShimOptions.defaults(), slow, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            CompletableFuture<Report> suspending =
                    process.async().suspend(CHECKPOINT.stepTimeout(Duration.ofMillis(300)));
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> suspending.isDone() || process.state().equals(ProcessState.PARKING));
            assertThat(suspending)
                    .failsWithin(Duration.ofSeconds(60))
                    .withThrowableOfType(ExecutionException.class)
                    .withMessageContaining("did not return within 300 ms")
                    .withMessageEndingWith("It is still running.");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void theStateOfAProcessThatParksIsToldAtOnce() throws Exception {
        Machine.assumeSimulator("a fault is injected");
        Map<String, String> slow = new SimulatorFaults()
                .delay("cuMemUnmap#1", Duration.ofSeconds(3))
                .environment();
        try (Target target = start(ShimOptions.defaults(), slow, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            CompletableFuture<Report> parking = process.async().park();
            await().atMost(Duration.ofSeconds(30)).until(() -> process.state().equals(ProcessState.PARKING));
            assertThat(cuda.processes())
                    .filteredOn(info -> info.pid() == target.pid())
                    .extracting(ProcessInfo::state)
                    .containsExactly(ProcessState.PARKING);
            assertThat(Shim.control(target.pid()).statistics().values()).isNotEmpty();
            assertThat(parking).isNotDone();
            parking.join();
            process.resume();
            target.assertMemoryIntact();
        }
    }
}
