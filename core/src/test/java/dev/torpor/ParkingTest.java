package dev.torpor;

import static dev.torpor.Failures.failure;
import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.torpor.driver.CudaResult;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Transitions in which the driver and the shim have their parts, and every failure of either. */
class ParkingTest {
    private static final Suspend PARK = Suspend.to(Level.PARK);
    private static final Suspend CHECKPOINT = Suspend.to(Level.CHECKPOINT);

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
        driver.held = 3 << 20;
    }

    @AfterEach
    void end() {
        shim.close();
    }

    private void assertStands(ProcessState driverState, String shimState) {
        assertThat(driver.state).isEqualTo(driverState);
        assertThat(shim.state).isEqualTo(shimState);
    }

    @Test
    void aCheckpointBeginsWithAParkAndItsResumeEndsWithAnUnpark() {
        Report down = process.suspend(CHECKPOINT.lockTimeout(Duration.ofSeconds(5)));
        assertThat(names(down.steps())).containsExactly("park", "lock", "checkpoint");
        assertThat(down.end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(down.driverOnly()).isEmpty();
        assertThat(shim.heard).contains("park timeout-ms=5000");
        Phase park = down.steps().get(0);
        assertThat(park.bytes()).hasValue(1 << 20);
        assertThat(names(park.parts())).containsExactly("wait", "arena", "copy", "release");
        assertThat(down.toString())
                .matches(
                        "park \\S+ m?s \\(\\S+ GB/s\\), lock \\S+ ms, checkpoint \\S+ ms( \\(\\S+ GB/s\\))?; checkpointed");
        assertStands(ProcessState.CHECKPOINTED, "parked");
        assertThat(process.state()).isEqualTo(ProcessState.CHECKPOINTED);
        Report up = process.resume();
        assertThat(names(up.steps())).containsExactly("restore", "unlock", "unpark");
        assertThat(names(up.steps().get(2).parts())).containsExactly("map", "copy");
        assertThat(up.end()).isEqualTo(ProcessState.RUNNING);
        assertStands(ProcessState.RUNNING, "running");
    }

    @Test
    void aParkIsTheShimsAlone() {
        Report down = process.suspend(PARK);
        assertThat(names(down.steps())).containsExactly("park");
        assertThat(down.end()).isEqualTo(ProcessState.PARKED);
        assertThat(process.state()).isEqualTo(ProcessState.PARKED);
        assertThat(driver.calls).doesNotContain("cuCheckpointProcessLock");
        Report up = process.resume();
        assertThat(names(up.steps())).containsExactly("unpark");
        assertThat(up.end()).isEqualTo(ProcessState.RUNNING);
        process.park();
        assertThat(process.unpark().end()).isEqualTo(ProcessState.RUNNING);
        process.async().park().join();
        assertThat(process.async().unpark(Resume.defaults()).join().end()).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aParkedProcessIsCheckpointedFurther() {
        process.park();
        Report down = process.suspend();
        assertThat(names(down.steps())).containsExactly("lock", "checkpoint");
        assertThat(down.start()).isEqualTo(ProcessState.PARKED);
        assertThat(names(process.resume().steps())).containsExactly("restore", "unlock", "unpark");
    }

    @Test
    void theDriversSingleStepsLeaveAParkedProcessParked() {
        process.park();
        process.lock(Duration.ofSeconds(1));
        assertThat(process.state()).isEqualTo(ProcessState.LOCKED);
        process.checkpoint();
        process.restore();
        assertThat(process.unlock().end()).isEqualTo(ProcessState.PARKED);
        assertThat(process.state(Duration.ofSeconds(1))).isEqualTo(ProcessState.PARKED);
    }

    @Test
    void whereItIsParkedToAndForHowLongItWaitsIsPassedOn() {
        process.suspend(PARK.lockTimeout(Duration.ZERO).arena(Path.of("/dev/shm/a b")));
        assertThat(shim.heard).contains("park timeout-ms=3600000 arena=/dev/shm/a b");
        process.resume();
        process.suspend(PARK.storeAt(Path.of("/disk/folder")));
        process.resume(Resume.defaults().storedAt(Path.of("/disk/moved folder")));
        assertThat(shim.heard)
                .contains("park timeout-ms=10000 keep=1 arena=/disk/folder", "unpark arena=/disk/moved folder");
        process.suspend(PARK.storeAt(Path.of("/disk/folder")));
        process.resume(Resume.defaults().storedAt(Path.of("/disk/a b")).removeStored());
        assertThat(shim.heard).contains("unpark keep=0 arena=/disk/a b");
        process.suspend(PARK.storeAt(Path.of("/disk/folder")).arena(Path.of("/disk/arena")));
        assertThat(shim.heard).contains("park timeout-ms=10000 arena=/disk/arena");
        assertThatIllegalArgumentException().isThrownBy(() -> PARK.arena(Path.of("a")));
        assertThatIllegalArgumentException().isThrownBy(() -> PARK.storeAt(Path.of("a")));
        assertThatIllegalArgumentException().isThrownBy(() -> Resume.defaults().storedAt(Path.of("a")));
        assertThatIllegalArgumentException().isThrownBy(PARK::withoutParking);
    }

    @Test
    void theShimCanBeLeftAside() {
        shim.say("status", FakeShim.SILENCE);
        Report down = process.suspend(CHECKPOINT.withoutParking());
        assertThat(names(down.steps())).containsExactly("lock", "checkpoint");
        assertThat(down.driverOnly()).contains("the shim was left aside");
        assertThat(shim.heard).containsExactly("status"); // for what the process shares, and not for long
    }

    @Test
    void withoutAShimTheDriverDoesItAndTheReportSaysSo() {
        shim.close();
        Report down = process.suspend();
        assertThat(names(down.steps())).containsExactly("lock", "checkpoint");
        assertThat(down.driverOnly()).contains("nothing listens at " + shim.socket);
        assertThat(down.toString()).endsWith(", driver only; checkpointed");
        assertThat(process.resume().driverOnly()).isEmpty();
        assertThat(failure(Problem.NO_SHIM, () -> process.suspend(PARK)))
                .hasMessageContaining("start it with `torpor run`")
                .hasMessageEndingWith("The process was not touched.");
        failure(Problem.NO_SHIM, process::unpark);
        assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
    }

    @ParameterizedTest
    @ValueSource(strings = {"status", "park"})
    void whereParkingIsOffTheDriverDoesIt(String command) {
        shim.refuse(command, "off TORPOR_PARK=0.");
        Report down = process.suspend();
        assertThat(names(down.steps())).containsExactly("lock", "checkpoint");
        assertThat(down.driverOnly()).contains("parking is off");
        assertThat(names(process.resume().steps())).containsExactly("restore", "unlock");
        assertThat(failure(Problem.NOT_SUPPORTED, () -> process.suspend(PARK))).hasMessageContaining("TORPOR_PARK=0");
        assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aStateWhereItDoesNotBeginIsNamed() {
        assertThat(failure(Problem.WRONG_STATE, process::unpark)).hasMessageContaining("is running");
        assertThat(failure(Problem.WRONG_STATE, process::resume)).hasMessageContaining("nothing to do");
        process.park();
        assertThat(failure(Problem.WRONG_STATE, () -> process.suspend(PARK)))
                .hasMessageContaining("is parked")
                .hasMessageContaining("nothing to do");
        process.suspend();
        assertThat(failure(Problem.WRONG_STATE, () -> process.suspend(PARK))).hasMessageContaining("resume it first");
        assertThat(failure(Problem.WRONG_STATE, process::unpark)).hasMessageContaining("resume it first");
        process.restore();
        assertThat(failure(Problem.WRONG_STATE, process::unpark)).hasMessageContaining("unlock it first");
        process.resume();
        for (String state : List.of("parking", "unparking")) {
            shim.state = state;
            assertThat(process.state()).hasToString(state);
            assertThat(failure(Problem.WRONG_STATE, process::suspend)).hasMessageContaining("wait until that is done");
            failure(Problem.WRONG_STATE, process::resume);
        }
        assertThat(shim.heard.stream().filter(line -> line.startsWith("park"))).hasSize(1);
    }

    @ParameterizedTest
    @CsvSource({
        "busy It is busy., LOCK_TIMEOUT",
        "host-memory There is none., HOST_MEMORY",
        "arena No such folder., ARENA",
        "driver cuMemCreate answered 2., DRIVER",
        "argument Not like that., SHIM",
    })
    void aParkThatIsRefusedLeavesTheProcessRunning(String error, Problem problem) {
        shim.refuse("park", error);
        for (Suspend options : List.of(PARK, CHECKPOINT)) {
            TorporException e = failure(problem, () -> process.suspend(options));
            assertThat(e).hasMessageContaining("the shim answers").hasMessageEndingWith("It is still running.");
            assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.RUNNING);
            assertStands(ProcessState.RUNNING, "running");
        }
        assertThat(driver.calls).doesNotContain("cuCheckpointProcessLock");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "ok byt", "what?\n"})
    void aParkWhoseAnswerIsLostIsUndone(String answer) {
        shim.sayAfterwards("park", answer);
        TorporException e = failure(Problem.SHIM, () -> process.suspend());
        assertThat(e).hasMessageEndingWith("It is still running.");
        assertThat(names(e.report().orElseThrow().undone())).containsExactly("unpark");
        assertStands(ProcessState.RUNNING, "running");
        shim.say("park", answer);
        e = failure(Problem.SHIM, () -> process.suspend());
        assertThat(e.report().orElseThrow().undone()).isEmpty();
        assertStands(ProcessState.RUNNING, "running");
    }

    @Test
    void aParkThatIsNotAnsweredInTimeAndNotDoneLeavesTheProcessRunning() {
        shim.say("park", FakeShim.SILENCE);
        TorporException e =
                failure(Problem.UNRESPONSIVE, () -> process.suspend(CHECKPOINT.stepTimeout(Duration.ofMillis(200))));
        assertThat(e)
                .hasMessageStartingWith("park(pid " + driver.pid + ") did not return within 200 ms, and the shim")
                .hasMessageEndingWith("It is still running.");
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.RUNNING);
    }

    @Test
    void aLockThatFailsIsFollowedByAnUnpark() {
        driver.fail("cuCheckpointProcessLock", CudaResult.NOT_READY);
        TorporException e = failure(Problem.LOCK_TIMEOUT, process::suspend);
        assertThat(names(e.report().orElseThrow().steps())).containsExactly("park");
        assertThat(names(e.report().orElseThrow().undone())).containsExactly("unpark");
        assertThat(e).hasMessageEndingWith("It is still running.");
        assertStands(ProcessState.RUNNING, "running");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aCheckpointThatFailsIsUndoneToWhereItBegan(boolean parkedBefore) {
        if (parkedBefore) {
            process.park();
        }
        driver.failAfter("cuCheckpointProcessCheckpoint", 999);
        TorporException e = failure(Problem.DRIVER, process::suspend);
        assertThat(names(e.report().orElseThrow().undone()))
                .isEqualTo(parkedBefore ? List.of("restore", "unlock") : List.of("restore", "unlock", "unpark"));
        assertThat(e).hasMessageEndingWith(parkedBefore ? "It is still parked." : "It is still running.");
        assertStands(ProcessState.RUNNING, parkedBefore ? "parked" : "running");
    }

    @Test
    void whatCannotBeUndoneIsSaid() {
        driver.fail("cuCheckpointProcessCheckpoint", 999);
        shim.refuse("unpark", "device-memory missing=1073741824 Somebody took it.");
        assertThat(failure(Problem.DRIVER, process::suspend))
                .hasMessageContaining("Undoing it failed too: unpark(pid ")
                .hasMessageContaining("1.0 GiB of device memory are missing")
                .hasMessageEndingWith("It is parked now.");
        driver.fail("cuCheckpointProcessUnlock", 998);
        shim.heal();
        process.unpark();
        assertThat(failure(Problem.DRIVER, process::suspend))
                .hasMessageContaining("cuCheckpointProcessUnlock answered")
                .hasMessageEndingWith("It is locked now, and parked.");
    }

    @Test
    void anUnparkWithoutRoomLeavesTheProcessParkedAndAnotherResumeOnlyUnparks() {
        process.suspend();
        shim.refuse("unpark", "device-memory missing=2147483648 Device 0 is full.");
        TorporException e = failure(Problem.DEVICE_MEMORY, process::resume);
        assertThat(e)
                .hasMessageContaining("2.0 GiB of device memory are missing")
                .hasMessageContaining("Free device memory")
                .hasMessageEndingWith("It is parked now.");
        assertThat(names(e.report().orElseThrow().steps())).containsExactly("restore", "unlock");
        assertThat(e.report().orElseThrow().end()).isEqualTo(ProcessState.PARKED);
        failure(Problem.DEVICE_MEMORY, process::resume);
        shim.heal();
        assertThat(names(process.resume().steps())).containsExactly("unpark");
    }

    @Test
    void aResumeThatTheDriverFailsLeavesItParked() {
        process.suspend();
        driver.fail("cuCheckpointProcessUnlock", 999);
        assertThat(failure(Problem.DRIVER, process::resume)).hasMessageEndingWith("It is locked now, and parked.");
        driver.heal();
        assertThat(names(process.resume().steps())).containsExactly("unlock", "unpark");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "what?\n", "ok\n", FakeShim.SILENCE})
    void aShimThatMakesNoSenseStopsASuspendAndSaysHowToDoWithoutIt(String answer) {
        shim.say("status", answer);
        Duration limit = Duration.ofMillis(200);
        Problem problem = answer.equals(FakeShim.SILENCE) ? Problem.UNRESPONSIVE : Problem.SHIM;
        assertThat(failure(problem, () -> process.suspend(CHECKPOINT.stepTimeout(limit))))
                .hasMessageContaining("without parking")
                .hasMessageEndingWith("The process was not touched.");
        failure(problem, () -> process.suspend(PARK.stepTimeout(limit)));
        failure(problem, () -> process.resume(Resume.defaults().stepTimeout(limit)));
        failure(problem, () -> process.state(limit));
        assertStands(ProcessState.RUNNING, "running");
    }

    /** A process that sleeps is woken all the same, as far as that goes. */
    @ParameterizedTest
    @CsvSource({"false, (silence)", "true, (silence)", "false, ok", "true, ok", "true, what?"})
    void aShimThatDoesNotTellIsToldToUnpark(boolean parked, String answer) {
        process.suspend(parked ? CHECKPOINT : CHECKPOINT.withoutParking());
        shim.say("status", answer.equals(FakeShim.SILENCE) ? answer : answer + "\n");
        Report up = process.resume(Resume.defaults().stepTimeout(Duration.ofMillis(200)));
        assertThat(names(up.steps()))
                .isEqualTo(parked ? List.of("restore", "unlock", "unpark") : List.of("restore", "unlock"));
        assertThat(up.end()).isEqualTo(ProcessState.RUNNING);
        assertStands(ProcessState.RUNNING, "running");
    }

    @Test
    void aSingleStepOfTheDriverNeedsNoShim() {
        driver.state = ProcessState.LOCKED;
        shim.say("status", FakeShim.SILENCE);
        Duration limit = Duration.ofMillis(200);
        assertThat(process.checkpoint(CHECKPOINT.stepTimeout(limit)).end()).isEqualTo(ProcessState.CHECKPOINTED);
        assertThat(process.restore(Resume.defaults().stepTimeout(limit)).end()).isEqualTo(ProcessState.LOCKED);
        shim.refuse("status", "unknown No such command.");
        assertThat(process.unlock().end()).isEqualTo(ProcessState.RUNNING);
        assertThat(process.lock(Duration.ofSeconds(1)).end()).isEqualTo(ProcessState.LOCKED);
    }

    @Test
    void hostMemoryIsNeededForWhatIsParkedBesideWhatTheDriverTakes() {
        long much = 1L << 58;
        shim.parkable = much;
        driver.free = Long.MAX_VALUE;
        driver.held = much + 1;
        assertThat(failure(Problem.HOST_MEMORY, process::suspend)).hasMessageContaining("was not touched");
        failure(Problem.HOST_MEMORY, () -> process.suspend(PARK));
        assertThat(shim.heard).noneMatch(line -> line.startsWith("park"));
        shim.arena = much; // kept from before: nothing is needed
        process.suspend();
        process.resume();
        driver.held = 2 * much;
        failure(Problem.HOST_MEMORY, process::suspend);
        driver.held = much + 1;
        shim.arena = 0;
        process.suspend(CHECKPOINT.arena(Path.of("/a/disk")));
        process.resume();
        shim.arena = 0;
        process.suspend(PARK.checkHostMemory(false));
    }

    @Test
    void deviceMemoryForBothIsLookedForBeforeTheRestore() {
        driver.held = 1000L << 20;
        shim.parkable = 900L << 20;
        process.suspend();
        driver.free = 1000L << 20;
        failure(Problem.DEVICE_MEMORY, process::resume);
        driver.free = 1064L << 20;
        process.resume();
        process.park();
        driver.held = 100L << 20; // what the driver still sees
        process.suspend();
        driver.free = 1000L << 20;
        failure(Problem.DEVICE_MEMORY, process::resume);
        assertThat(driver.state).isEqualTo(ProcessState.CHECKPOINTED);
        driver.free = 1064L << 20;
        process.resume();
    }

    @Test
    void anotherControllerAddsWhatIsParkedToWhatTheDriverHasTaken() {
        shim.parkable = 1L << 40;
        shim.left = 3L << 40;
        process.suspend(CHECKPOINT.checkHostMemory(false));
        GpuProcess other = driver.process(shim.proc());
        driver.free = 4L << 40;
        assertThat(failure(Problem.DEVICE_MEMORY, other::resume)).hasMessageContaining("needs 4.0 TiB");
        driver.free = (4L << 40) + (64L << 20);
        other.resume();
    }

    @Test
    void progressIsToldOfTheShimsStepsToo() {
        List<Step> told = new CopyOnWriteArrayList<>();
        process.suspend(CHECKPOINT.onProgress(progress -> told.add(progress.step())));
        assertThat(told.stream().distinct()).containsExactly(Step.PARK, Step.LOCK, Step.CHECKPOINT);
    }
}
