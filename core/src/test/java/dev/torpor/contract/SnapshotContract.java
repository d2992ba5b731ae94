package dev.torpor.contract;

import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.DeviceMap;
import dev.torpor.GpuDevice;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Shim;
import dev.torpor.Suspend;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Manifest;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes saved and loaded by the real CRIU. Every test ends by looking at the memory of a process. */
public abstract class SnapshotContract extends SnapshotTests {
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aProcessGoesToDiskAndComesBack(boolean shim) {
        try (Detached target = start(shim)) {
            long free = freeBytes();
            SnapshotReport down = save(target, Save.defaults());
            assertThat(names(down.phases())).containsExactly("check", "suspend", "dump", "seal");
            assertThat(down.pids()).containsExactly(target.pid());
            assertThat(target.isAlive()).isFalse();
            assertThat(freeBytes()).isGreaterThanOrEqualTo(free + target.bytes());
            Manifest manifest = Snapshot.open(folder()).manifest();
            Member member = manifest.processes().get(0);
            assertThat(member.pid()).isEqualTo(target.pid());
            assertThat(member.state()).isEqualTo("running");
            assertThat(member.deviceMemory()).isEqualTo(shim ? "device-memory-" + target.pid() : "");
            assertThat(manifest.sealed()).isTrue();
            assertThat(manifest.simulated()).isEqualTo(Machine.simulated());
            assertThat(manifest.gpus()).hasSize(1);
            long stored = manifest.files().stream()
                    .filter(file -> file.name().startsWith("device-memory-" + target.pid() + "/memory-"))
                    .mapToLong(Manifest.StoredFile::bytes)
                    .sum();
            assertThat(stored >= target.bytes()).isEqualTo(shim);
            long images = manifest.files().stream()
                    .filter(file -> file.name().startsWith("criu/pages"))
                    .mapToLong(Manifest.StoredFile::bytes)
                    .sum();
            if (Machine.simulated()) {
                assertThat(images > target.bytes())
                        .as("device memory in CRIU's images")
                        .isEqualTo(!shim);
            }
            SnapshotReport up = load();
            assertThat(names(up.phases())).containsExactly("check", "restore", "resume");
            assertThat(up.pids()).containsExactly(target.pid());
            target.assertMemoryIntact();
            GpuProcess restored = cuda.process(target.pid());
            assertThat(restored.state()).isEqualTo(ProcessState.RUNNING);
            if (Machine.simulated()) {
                assertThat(restored.deviceMemory().values())
                        .singleElement()
                        .satisfies(bytes -> assertThat(bytes).isGreaterThanOrEqualTo(target.bytes()));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void itMayBeLeftRunningAndLoadedAsOftenAsOneLikes(boolean shim) {
        try (Detached target = start(shim)) {
            SnapshotReport down = save(target, Save.defaults().leaveRunning());
            assertThat(names(down.phases())).containsExactly("check", "suspend", "dump", "resume", "seal");
            target.assertMemoryIntact();
            assertThat(loadFails(Problem.SNAPSHOT, Load.defaults())).hasMessageContaining("process id " + target.pid());
            target.assertMemoryIntact();
            for (int round = 0; round < 2; round++) {
                target.quit();
                load();
                target.assertMemoryIntact();
            }
        }
    }

    @Test
    void aTreeIsSavedAsAWhole() {
        try (Detached target = Detached.startAsChild(directory, shim(), "--memory", SIZE)) {
            SnapshotReport down = save(target, Save.defaults());
            assertThat(down.pids()).containsExactly(target.root(), target.pid());
            assertThat(target.isAlive()).isFalse();
            assertThat(load().pids()).containsExactly(target.root(), target.pid());
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"PARK", "CHECKPOINT"})
    void oneThatSleepsIsSavedAsItIsAndWakesWhenItIsLoaded(Level level) {
        try (Detached target = start(true)) {
            GpuProcess process = cuda.process(target.pid());
            process.suspend(Suspend.to(level));
            ProcessState before = process.state();
            save(target, Save.defaults().leaveRunning());
            assertThat(process.state()).isEqualTo(before);
            process.resume();
            target.assertMemoryIntact();
            target.quit();
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void theSnapshotMayMove() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults().durable(true));
            Path moved = Files.createDirectory(directory.resolve("else where")).resolve("b");
            Files.move(folder(), moved);
            Snapshot.open(moved).load(cuda, Load.defaults().with(criu).verify(true));
            target.assertMemoryIntact();
        }
    }

    @Test
    void theShimsFolderIsMadeAgainIfItIsGone() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Files.deleteIfExists(directory.resolve("run").resolve(target.pid() + ".sock"));
            Files.delete(directory.resolve("run"));
            load();
            assertThat(Shim.control(target.pid()).status().state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
        }
    }

    @Test
    void itComesBackOntoAnotherGpu() {
        List<GpuDevice> devices = cuda.devices();
        assumeTrue(devices.size() > 1, "needs two GPUs");
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            DeviceMap swapped =
                    DeviceMap.of(devices.get(0).uuid(), devices.get(1).uuid());
            Snapshot.open(folder()).load(cuda, Load.defaults().with(criu).onto(swapped));
            assertThat(cuda.process(target.pid()).deviceMemory())
                    .containsOnlyKeys(devices.get(1).uuid());
            target.assertMemoryIntact();
        }
    }

    @Test
    void aLoadWaitsForPidsThatZombiesStillHave() throws Exception {
        try (Detached target = Detached.startUnawaited(directory, shim(), "--memory", SIZE)) {
            Snapshot.save(cuda, target.pid(), folder(), Save.defaults().with(criu));
            assertThat(target.isAlive()).isFalse();
            assertThat(Path.of("/proc/" + target.pid())).exists();
            FutureTask<SnapshotReport> loading = new FutureTask<>(this::load);
            Thread loader = new Thread(loading, "loader");
            loader.start();
            await().until(() -> loading.isDone() || isIn(loader, "awaitZombies"));
            assertThat(loading).isNotDone();
            ProcessHandle.of(target.root()).ifPresent(ProcessHandle::destroy);
            assertThat(loading.get(60, TimeUnit.SECONDS).pids()).containsExactly(target.pid());
            target.assertMemoryIntact();
        }
    }

    private static boolean isIn(Thread thread, String method) {
        return Arrays.stream(thread.getStackTrace())
                .anyMatch(frame -> frame.getMethodName().equals(method));
    }

    @Test
    void nobodyElseCanReadIt() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults().leaveRunning());
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder())))
                    .isEqualTo("rwx--x--x");
            for (String name : List.of("criu", "device-memory-" + target.pid())) {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder().resolve(name))))
                        .isEqualTo("rwx------");
            }
            for (String name : List.of("manifest.json", "lock")) {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder().resolve(name))))
                        .isEqualTo("rw-------");
            }
            assertThat(folder().toFile().list())
                    .containsExactlyInAnyOrder("manifest.json", "lock", "criu", "device-memory-" + target.pid());
            target.assertMemoryIntact();
        }
    }

    @Test
    void whatMustNotBeStoppedIsRefusedBeforeAnythingIsTouched() {
        long parent = ProcessHandle.current().parent().orElseThrow().pid();
        for (long pid : List.of(1L, ProcessHandle.current().pid(), parent)) {
            assertThat(failure(
                            Problem.SNAPSHOT,
                            () -> Snapshot.save(
                                    cuda, pid, folder(), Save.defaults().with(criu))))
                    .hasMessageStartingWith("Process " + pid)
                    .hasMessageEndingWith("Nothing was touched.");
            assertThat(folder()).doesNotExist();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aFileThatHasLostItsNameComesBackAsOftenAsOneLikes(boolean leftRunning) {
        try (Detached target = Detached.startWithLostName(directory, shim(), "--memory", SIZE)) {
            Save options = Save.defaults().criu(CriuDump.defaults().linkRemap());
            if (leftRunning) {
                Snapshot.save(
                        cuda,
                        target.root(),
                        directory.resolve("first"),
                        options.leaveRunning().with(criu));
                target.assertMemoryIntact();
            }
            save(target, options);
            for (int round = 0; round < 2; round++) {
                load();
                target.assertMemoryIntact();
                target.quit();
            }
            if (leftRunning) {
                Snapshot.open(directory.resolve("first"))
                        .load(cuda, Load.defaults().with(criu));
                target.assertMemoryIntact();
            }
            assertThat(directory.toFile().list((where, name) -> name.startsWith("link_remap")))
                    .isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatStartsToUseCudaWhileItsTreeIsSuspendedIsSavedToo(boolean shim) throws Exception {
        Path go = directory.resolve("go");
        try (Detached target = Detached.startWithLateChild(directory, shim ? shim() : Map.of(), go, "--memory", SIZE)) {
            target.ask("spin 3000"); // for which the lock waits
            CompletableFuture<SnapshotReport> saving =
                    CompletableFuture.supplyAsync(() -> save(target, Save.defaults()));
            await().until(() -> Files.exists(folder()));
            Files.createFile(go);
            saving.get(120, TimeUnit.SECONDS);
            assertBothCameBack(target);
        }
    }

    /** It is looked for once more when CRIU has the processes stopped. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatStartsToUseCudaAfterTheLastLookIsSavedToo(boolean shim) throws Exception {
        Path go = directory.resolve("go");
        try (Detached target = Detached.startWithLateChild(directory, shim ? shim() : Map.of(), go, "--memory", SIZE)) {
            Criu late = criuThat(
                    ": > '" + go + "'; while ! grep -q READY '" + go + ".ready'; do sleep 0.02; done; REAL; exit $?");
            save(target, Save.defaults(), late);
            assertBothCameBack(target);
        }
    }

    private void assertBothCameBack(Detached target) {
        List<Long> gpu = Snapshot.open(folder()).manifest().processes().stream()
                .filter(Member::gpu)
                .map(Member::pid)
                .toList();
        load();
        target.assertMemoryIntact();
        for (long pid : gpu) {
            assertThat(cuda.process(pid).state()).isEqualTo(ProcessState.RUNNING);
        }
        assertThat(gpu).hasSize(2).contains(target.pid());
        ProcessHandle.of(target.pid()).orElseThrow().descendants().forEach(ProcessHandle::destroy);
    }

    @Test
    void oneThatUsesNoCudaIsCriusAlone() throws Exception {
        Process plain = new ProcessBuilder("sleep", "600").start();
        failure(
                Problem.NOT_A_CUDA_PROCESS,
                () -> Snapshot.save(cuda, plain.pid(), folder(), Save.defaults().with(criu)));
        assertThat(folder()).doesNotExist();
        assertThat(plain.isAlive()).isTrue();
        plain.destroy();
    }
}
