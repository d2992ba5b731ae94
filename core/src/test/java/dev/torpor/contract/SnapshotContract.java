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
import dev.torpor.ShimOptions;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Manifest;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes saved and loaded by the real CRIU. Every test ends by looking at the memory of a process. */
public abstract class SnapshotContract extends TypedContract {
    private static final String SIZE = "64M";

    @TempDir
    private Path directory;

    private Criu criu;

    @BeforeEach
    void findCriu() {
        criu = Programs.criu();
    }

    private Path folder() {
        return directory.resolve("a snapshot");
    }

    private Map<String, String> shim() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment, ShimOptions.defaults().folder(directory.resolve("run")));
        return environment;
    }

    private Detached start(boolean shim) {
        return Detached.start(directory, shim ? shim() : Map.of(), "--memory", SIZE);
    }

    private SnapshotReport save(Detached target, Save options) {
        return save(target, options, criu);
    }

    private SnapshotReport save(Detached target, Save options, Criu program) {
        return Snapshot.save(cuda, target.root(), folder(), options.with(program));
    }

    private SnapshotReport load() {
        return Snapshot.open(folder()).load(cuda, Load.defaults().with(criu));
    }

    private TorporException loadFails(Problem problem, Load options) {
        Snapshot snapshot = Snapshot.open(folder());
        TorporException failure = failure(problem, () -> snapshot.load(cuda, options.with(criu)));
        assertThat(failure).hasMessageContaining("Nothing was started");
        return failure;
    }

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
            assertThat(member.deviceMemory().isEmpty()).isEqualTo(!shim);
            assertThat(manifest.sealed()).isTrue();
            assertThat(manifest.simulated()).isEqualTo(Machine.simulated());
            assertThat(manifest.gpus()).hasSize(1);
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
            assertThat(cuda.process(target.pid()).state()).isEqualTo(ProcessState.RUNNING);
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

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whereCriuFailsTheProcessGoesOn(boolean shim) throws Exception {
        try (Detached target = start(shim)) {
            CriuDump wrong = CriuDump.defaults().arguments("--no-such-option");
            failure(Problem.TOOL, () -> save(target, Save.defaults().criu(wrong)));
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
            CriuDump hasty = CriuDump.defaults().limit(Duration.ofMillis(500));
            Criu idle = criuThat("exec sleep 600"); // a real one may be killed while it has the process in its hands
            failure(Problem.TOOL, () -> save(target, Save.defaults().criu(hasty), idle));
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
            save(target, Save.defaults());
            load();
            target.assertMemoryIntact();
        }
    }

    /** One that does what a line of shell says in place of a dump or a restore. */
    private Criu criuThat(String says) throws IOException {
        Path program = directory.resolve("criu-that-fails");
        String real = "'" + criu.program() + "'";
        Files.writeString(
                program,
                "#!/bin/sh\ncase $1 in --version | check) exec " + real + " \"$@\" ;; esac\n"
                        + says.replace("REAL", real + " \"$@\"") + "\nexit 1\n");
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return Criu.at(program);
    }

    @Test
    void aCriuThatFailsWhenAllIsDoneCostsNothing() throws Exception {
        try (Detached target = start(true)) {
            Criu failing = criuThat("REAL");
            SnapshotReport down = save(target, Save.defaults(), failing);
            assertThat(down.notes()).hasSize(1);
            assertThat(target.isAlive()).isFalse();
            assertThat(failure(
                            Problem.TOOL,
                            () -> Snapshot.open(folder())
                                    .load(cuda, Load.defaults().with(failing))))
                    .hasMessageContaining("have been killed");
            assertThat(target.isAlive()).isFalse();
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void whoHasTakenThePidsMeanwhileIsNotKilled() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Criu beaten =
                    criuThat("REAL; rm -f '" + folder() + "/criu/restore.pid'"); // somebody else's, who was faster
            assertThat(failure(
                            Problem.TOOL,
                            () -> Snapshot.open(folder())
                                    .load(cuda, Load.defaults().with(beaten))))
                    .hasMessageNotContaining("killed");
            assertThat(target.isAlive()).isTrue();
            cuda.process(target.pid()).resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void whatIsLeftOfAProcessThatNobodyWaitsForIsNoProcess() throws Exception {
        try (Detached target = Detached.startUnawaited(directory, shim(), "--memory", SIZE)) {
            SnapshotReport down =
                    Snapshot.save(cuda, target.pid(), folder(), Save.defaults().with(criuThat("REAL")));
            assertThat(down.notes()).hasSize(1);
            assertThat(Snapshot.open(folder()).verify()).isPositive();
            ProcessHandle.of(target.root()).ifPresent(ProcessHandle::destroy);
            target.awaitEnd();
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aCriuThatFailsBetweenImagesAndEndLeavesTheProcess() throws Exception {
        try (Detached target = start(true)) {
            Criu failing = criuThat(
                    "for word; do case $word in */finish) CRTOOLS_SCRIPT_ACTION=post-dump \"$word\" ;; esac; done");
            failure(Problem.TOOL, () -> save(target, Save.defaults(), failing));
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
        }
    }

    /** It stands still until the manifest has lost its name, so that nobody can wake it, and then it is killed. */
    @Test
    void aProcessThatEndsWhileASaveIsUndoneIsInTheSnapshot() throws Exception {
        try (Detached target = start(true)) {
            Criu failing = criuThat("REAL --leave-running || exit 1; kill -STOP " + target.pid() + "; (while [ -e '"
                    + folder() + "/manifest.json' ]; do sleep 0.02; done; kill -KILL " + target.pid() + ") &");
            SnapshotReport down = save(target, Save.defaults(), failing);
            assertThat(down.notes()).hasSize(1);
            assertThat(down.notes().get(0)).contains("could not dump process");
            target.awaitEnd();
            assertThat(Snapshot.open(folder()).verify()).isPositive();
            load();
            target.assertMemoryIntact();
        }
    }

    /** The shim cannot follow the link, so it cannot be woken until that is undone. */
    @Test
    void whatCannotBeWokenKeepsItsFolder() throws Exception {
        try (Detached target = start(true)) {
            String memory = "'" + folder() + "/device-memory-" + target.pid() + "/memory'";
            String elsewhere = "'" + directory + "/elsewhere'";
            Criu failing = criuThat(
                    "REAL --leave-running; mv " + memory + " " + elsewhere + "; ln -s " + elsewhere + " " + memory);
            assertThat(failure(Problem.TOOL, () -> save(target, Save.defaults(), failing)))
                    .hasMessageContaining("Undoing it failed too")
                    .hasMessageContaining("Keep " + folder());
            assertThat(folder().resolve("manifest.json")).doesNotExist();
            assertThat(folder().resolve("manifest.json.partial")).exists();
            Path file = folder().resolve("device-memory-" + target.pid()).resolve("memory");
            Files.delete(file);
            Files.move(directory.resolve("elsewhere"), file);
            cuda.process(target.pid()).resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void whereCriuKillsOneOfTwoTheOtherRunsOn() throws Exception {
        try (Detached target = Detached.startWithChild(directory, shim(), "--memory", SIZE)) {
            long child = awaitChild(target);
            Criu killing = criuThat("kill -KILL " + child);
            assertThat(failure(Problem.TOOL, () -> save(target, Save.defaults(), killing)))
                    .hasMessageEndingWith(" Process " + child + " has ended.");
            assertThat(folder()).doesNotExist();
            assertThat(cuda.process(target.pid()).state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
            ProcessHandle.of(target.pid()).orElseThrow().children().forEach(ProcessHandle::destroy);
        }
    }

    /** Until it can be suspended. */
    private long awaitChild(Detached target) {
        List<Long> found = new ArrayList<>();
        await().atMost(Duration.ofSeconds(30)).until(() -> {
            ProcessHandle.of(target.pid())
                    .orElseThrow()
                    .children()
                    .map(ProcessHandle::pid)
                    .forEach(pid -> {
                        if (isSaved(pid)) {
                            found.add(pid);
                        }
                    });
            return !found.isEmpty();
        });
        return found.get(0);
    }

    private boolean isSaved(long pid) {
        try {
            GpuProcess process = cuda.process(pid);
            return process.state().equals(ProcessState.RUNNING)
                    && process.deviceMemory().values().stream().anyMatch(bytes -> bytes >= 64 << 20);
        } catch (TorporException e) {
            return false;
        }
    }

    @Test
    void whereTheGpuDoesNotComeToRestNothingIsSaved() {
        try (Detached target = start(true)) {
            target.ask("spin 10000"); // longer than all that comes before the lock takes under load
            failure(Problem.LOCK_TIMEOUT, () -> save(target, Save.defaults().lockTimeout(Duration.ofMillis(100))));
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFolderThatIsThereIsLeftAlone() throws Exception {
        try (Detached target = start(true)) {
            Files.createDirectory(folder());
            Files.writeString(folder().resolve("mine"), "mine");
            assertThat(failure(Problem.SNAPSHOT, () -> save(target, Save.defaults())))
                    .hasMessageContaining("cannot be made");
            assertThat(folder().resolve("mine")).hasContent("mine");
            assertThat(failure(Problem.SNAPSHOT, () -> Snapshot.open(folder()))).hasMessageContaining("is no snapshot");
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFileThatWasCutOrChangedIsFound() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Snapshot snapshot = Snapshot.open(folder());
            assertThat(snapshot.verify()).isEqualTo(snapshot.manifest().bytes());
            for (Manifest.StoredFile file : snapshot.manifest().files()) {
                damage(snapshot, file, file.bytes() / 2);
            }
            load();
            target.assertMemoryIntact();
        }
    }

    /** Nothing is different when it returns. */
    private void damage(Snapshot snapshot, Manifest.StoredFile file, long at) throws IOException {
        try (RandomAccessFile open =
                new RandomAccessFile(folder().resolve(file.name()).toFile(), "rw")) {
            open.seek(at);
            int was = open.read();
            open.seek(at);
            open.write(was + 1);
            assertThat(failure(Problem.SNAPSHOT, snapshot::verify)).hasMessageContaining(file.name());
            loadFails(Problem.SNAPSHOT, Load.defaults().verify(true));
            open.seek(at);
            open.write(was);
            open.setLength(file.bytes() + 1);
            loadFails(Problem.SNAPSHOT, Load.defaults());
            open.setLength(file.bytes());
        }
    }

    @Test
    void aManifestThatDoesNotFitStartsNothing() throws Exception {
        Machine.assumeSimulator("it knows the manifest's words");
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            refused("\"uuid\": \"GPU-5", "\"uuid\": \"GPU-6", Problem.SNAPSHOT, "is not on this host");
            refused("\"name\": \"SIMULATED", "\"name\": \"OTHER", Problem.SNAPSHOT, "one of the same model");
            refused("libcuda.so", "libother.so", Problem.SNAPSHOT, "driver library");
            refused("\"simulated\": true", "\"simulated\": false", Problem.SNAPSHOT, "real driver");
            refused("libtorpor", "nowhere", Problem.SNAPSHOT, "put that very file back");
            refused("\"format\": 1", "\"format\": 99", Problem.SNAPSHOT, "reads format 1");
            refused("{", "{{", Problem.SNAPSHOT, "damaged");
            refused("\"processes\": [", "\"others\": [", Problem.SNAPSHOT, "damaged");
            refused("\"format\": 1", "\"format\": {}", Problem.SNAPSHOT, "damaged");
            long held = Snapshot.open(folder()).manifest().gpus().get(0).bytes();
            refused("\"bytes\": " + held, "\"bytes\": " + (1L << 45), Problem.DEVICE_MEMORY, "are free");
            assertThat(target.isAlive()).isFalse();
            load();
            target.assertMemoryIntact();
        }
    }

    private void refused(String from, String to, Problem problem, String words) throws IOException {
        Path manifest = folder().resolve("manifest.json");
        String text = Files.readString(manifest);
        assertThat(text).contains(from);
        Files.writeString(manifest, text.replace(from, to));
        assertThat(failure(problem, this::load)).hasMessageContaining(words);
        Files.writeString(manifest, text);
    }

    @Test
    void ofTwoThatLoadAtOnceOneSucceeds() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            ExecutorService two = Executors.newFixedThreadPool(2);
            Callable<Boolean> loading = () -> {
                try {
                    load();
                    return true;
                } catch (TorporException e) {
                    assertThat(e.problem()).isEqualTo(Problem.SNAPSHOT);
                    return false;
                }
            };
            int loaded = 0;
            for (Future<Boolean> one : two.invokeAll(List.of(loading, loading))) {
                loaded += one.get() ? 1 : 0;
            }
            two.shutdown();
            assertThat(loaded).isEqualTo(1);
            target.assertMemoryIntact();
        }
    }

    @Test
    void whatCannotBeResumedIsKilledAndTheSnapshotIsIntact() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Path memory = folder().resolve("device-memory-" + target.pid()).resolve("memory");
            Path elsewhere = Files.move(memory, directory.resolve("elsewhere"));
            Files.createSymbolicLink(memory, elsewhere); // which the shim does not follow
            assertThat(failure(Problem.ARENA, this::load))
                    .hasMessageContaining("have been killed")
                    .hasMessageContaining("is intact");
            assertThat(target.isAlive()).isFalse();
            Files.delete(memory);
            Files.move(elsewhere, memory);
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aFolderWithoutRoomIsRefused() throws Exception {
        assertRefusedOn("size=8m", "has room for");
    }

    @Test
    void aFolderWithoutProgramsIsRefused() throws Exception {
        assertRefusedOn("noexec", "name a folder where programs may be run");
    }

    /** @param option of mount */
    private void assertRefusedOn(String option, String message) throws Exception {
        Path mount = Files.createDirectory(directory.resolve("mount"));
        assumeTrue(
                mounted(mount, "mount", "-t", "tmpfs", "-o", option, "none", mount.toString()), "only root can mount");
        try (Detached target = start(true)) {
            TorporException failure = failure(
                    Problem.SNAPSHOT,
                    () -> Snapshot.save(
                            cuda,
                            target.root(),
                            mount.resolve("s"),
                            Save.defaults().with(criu)));
            assertThat(failure).hasMessageContaining(message);
            assertThat(mount.resolve("s")).doesNotExist();
            target.assertMemoryIntact();
        } finally {
            mounted(mount, "umount", mount.toString());
        }
    }

    private static boolean mounted(Path folder, String... words) throws Exception {
        return folder != null && new ProcessBuilder(words).start().waitFor() == 0;
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
