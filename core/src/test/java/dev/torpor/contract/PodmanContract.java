package dev.torpor.contract;

import static dev.torpor.Failures.names;
import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.podman.Podman;
import dev.torpor.podman.PodmanCheckpoint;
import dev.torpor.podman.PodmanProcess;
import dev.torpor.podman.PodmanReport;
import dev.torpor.podman.PodmanRestore;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Containers with a GPU process in them, by the real podman, runc and CRIU. */
@NeedsPodman
public abstract class PodmanContract extends TypedContract {
    @TempDir
    private Path directory;

    @BeforeEach
    void needsSimulator() {
        Machine.assumeSimulator("a container that reaches a GPU is the kit's matter");
    }

    private TargetContainer start(String... options) throws IOException {
        return TargetContainer.start(Files.createDirectory(directory.resolve("container")), List.of(options));
    }

    private GpuProcess gpuProcess(TargetContainer container) {
        PodmanProcess first = container.podman().processes(container.name()).stream()
                .filter(process -> process.containerPid() == 1)
                .findFirst()
                .orElseThrow();
        return cuda.process(first.pid());
    }

    @Test
    void processesAreKnownByBothPids() throws IOException {
        try (TargetContainer container = start()) {
            List<PodmanProcess> processes = container.podman().processes(container.name());

            assertThat(processes).hasSize(2);
            assertThat(processes.get(0).containerPid()).isEqualTo(1);
            assertThat(processes.get(0).pid()).isGreaterThan(1);
            assertThat(processes.get(0).command()).startsWith("/opt/torpor-target");
            assertThat(cuda.processes())
                    .extracting(process -> process.pid())
                    .contains(processes.get(0).pid())
                    .doesNotContain(processes.get(1).pid());
        }
    }

    @Test
    void aContainerGoesIntoACheckpointAndBack() throws IOException {
        try (TargetContainer container = start()) {
            container.assertMemoryIntact();
            long free = freeBytes();

            PodmanReport.Checkpoint down =
                    container.podman().checkpoint(cuda, container.name(), PodmanCheckpoint.defaults());

            assertThat(down.suspended())
                    .singleElement()
                    .satisfies(report -> assertThat(names(report.steps())).containsExactly("lock", "checkpoint"));
            assertThat(down.resumed()).isEmpty();
            assertThat(down.criu().pagesWritten()).isPositive();
            assertThat(down.runtime()).isPositive().isLessThan(down.podman());
            assertThat(down).asString().startsWith("SIMULATED: 1 GPU process suspended, podman ");
            assertThat(container.status()).isEqualTo("exited");
            assertThat(freeBytes()).isGreaterThan(free);

            PodmanReport.Restore up = container.podman().restore(cuda, container.name(), PodmanRestore.defaults());

            assertThat(up.id()).isEqualTo(down.id());
            assertThat(up.resumed())
                    .singleElement()
                    .satisfies(report -> assertThat(names(report.steps())).containsExactly("restore", "unlock"));
            assertThat(up.criu().pagesRestored()).isPositive();
            assertThat(container.status()).isEqualTo("running");
            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.RUNNING);
            container.assertMemoryIntact();
            assertThat(freeBytes()).isEqualTo(free);
        }
    }

    @Test
    void leftRunningItGoesOn() throws IOException {
        try (TargetContainer container = start()) {
            PodmanReport.Checkpoint report = container
                    .podman()
                    .checkpoint(
                            cuda, container.name(), PodmanCheckpoint.defaults().leaveRunning());

            assertThat(report.suspended()).hasSize(1);
            assertThat(report.resumed()).extracting(Report::end).containsExactly(ProcessState.RUNNING);
            assertThat(container.status()).isEqualTo("running");
            container.assertMemoryIntact();
        }
    }

    @Test
    void anArchiveBecomesAContainerAgain() throws IOException {
        Path archive = directory.resolve("archive.tar");
        try (TargetContainer container = start()) {
            container
                    .podman()
                    .checkpoint(
                            cuda,
                            container.name(),
                            PodmanCheckpoint.defaults().export(archive).compress(PodmanCheckpoint.Compression.NONE));
            container.remove();

            PodmanReport.Restore up = container.podman().restoreFrom(cuda, archive, PodmanRestore.defaults());

            assertThat(up.resumed()).hasSize(1);
            assertThat(container.status()).isEqualTo("running");
            container.assertMemoryIntact();
        }
    }

    @Test
    void withTheShimItIsParkedFirst() throws IOException {
        List<String> arguments = Podman.runArguments(Shim.extract(), ShimOptions.defaults());
        try (TargetContainer container = start(arguments.toArray(new String[0]))) {
            PodmanReport.Checkpoint down =
                    container.podman().checkpoint(cuda, container.name(), PodmanCheckpoint.defaults());
            PodmanReport.Restore up = container.podman().restore(cuda, container.name(), PodmanRestore.defaults());

            assertThat(names(down.suspended().get(0).steps())).containsExactly("park", "lock", "checkpoint");
            assertThat(names(up.resumed().get(0).steps())).containsExactly("restore", "unlock", "unpark");
            container.assertMemoryIntact();
        }
    }

    /** With the shim, and a volume of its own. */
    private TargetContainer startWithStore(Path store, String... more) throws IOException {
        List<String> arguments = new ArrayList<>(Podman.runArguments(Shim.extract(), ShimOptions.defaults()));
        arguments.addAll(List.of("--volume", store.toRealPath() + ":/store"));
        arguments.addAll(List.of(more));
        return start(arguments.toArray(new String[0]));
    }

    @Test
    void deviceMemoryInAVolumeIsNotInTheImages() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/store"));
        try (TargetContainer container = startWithStore(store)) {
            PodmanReport.Checkpoint inImages =
                    container.podman().checkpoint(cuda, container.name(), PodmanCheckpoint.defaults());
            container.podman().restore(cuda, container.name(), PodmanRestore.defaults());

            PodmanReport.Checkpoint down = container.podman().checkpoint(cuda, container.name(), stored);

            Path memory = store.resolve("device-memory-1");
            assertThat(bytes(memory)).isGreaterThanOrEqualTo(16 << 20);
            assertThat(inImages.criu().pagesWritten() - down.criu().pagesWritten())
                    .isGreaterThan((15 << 20) / 4096);
            container
                    .podman()
                    .restore(cuda, container.name(), PodmanRestore.defaults().keep());
            container.assertMemoryIntact();
            assertThat(bytes(memory)).isGreaterThanOrEqualTo(16 << 20);

            assertThat(failure(Problem.SNAPSHOT, () -> container.podman().checkpoint(cuda, container.name(), stored)))
                    .hasMessageContaining("device-memory-1 cannot be made")
                    .hasMessageEndingWith(" No process was touched.");
            assertThat(failure(
                            Problem.SNAPSHOT,
                            () -> container
                                    .podman()
                                    .checkpoint(
                                            cuda,
                                            container.name(),
                                            PodmanCheckpoint.defaults().storeAt(Path.of("/none")))))
                    .hasMessageContaining("has no volume at /none");
            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.RUNNING);
            assertThat(bytes(memory)).isGreaterThanOrEqualTo(16 << 20);
            container.assertMemoryIntact();
        }
    }

    @Test
    void deviceMemoryInAVolumeGoesWithTheCheckpoint() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/store"));
        Path archive = directory.resolve("exported.tar");
        try (TargetContainer container = startWithStore(store)) {
            for (int round = 0; round < 2; round++) {
                container.podman().checkpoint(cuda, container.name(), stored);
                assertThat(store).isNotEmptyDirectory();
                container.podman().restore(cuda, container.name(), PodmanRestore.defaults());
                assertThat(store).isEmptyDirectory();
                container.assertMemoryIntact();
            }
            Files.createDirectory(store.resolve("device-memory-1")); // with nothing in it
            container.podman().checkpoint(cuda, container.name(), stored.export(archive));
            container.remove();
            container.podman().restoreFrom(cuda, archive, PodmanRestore.defaults());
            container.assertMemoryIntact();
            assertThat(store.resolve("device-memory-1/memory-00")).exists();
        }
    }

    @Test
    void deviceMemoryThatCannotBeReadBackStaysInTheVolume() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        try (TargetContainer container = startWithStore(store)) {
            container
                    .podman()
                    .checkpoint(
                            cuda, container.name(), PodmanCheckpoint.defaults().storeAt(Path.of("/store")));
            Path memory = store.resolve("device-memory-1/memory-00");
            Path away = Files.move(memory, directory.resolve("away"));

            failure(Problem.ARENA, () -> container.podman().restore(cuda, container.name(), PodmanRestore.defaults()));

            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.PARKED);
            Files.move(away, memory);
            gpuProcess(container).resume();
            container.assertMemoryIntact();
            assertThat(memory).exists();
        }
    }

    private static long bytes(Path folder) throws IOException {
        long sum = 0;
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                sum += Files.size(file);
            }
        }
        return sum;
    }

    @Test
    void aCheckpointThatFailsLeavesNothingInTheVolume() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/store"));
        Path failing = Files.writeString(
                directory.resolve("criu"),
                "#!/bin/sh\n[ $1 != swrk ] || exit 3\nexec " + Programs.criu().program() + " \"$@\"\n");
        Files.setPosixFilePermissions(failing, PosixFilePermissions.fromString("rwx------"));
        try (TargetContainer container = startWithStore(store)) {
            Podman podman = container.podman().criu(Criu.at(failing));

            assertThat(failure(Problem.TOOL, () -> podman.checkpoint(cuda, container.name(), stored)))
                    .hasMessageEndingWith(" Its GPU processes run again.");

            assertThat(store).isEmptyDirectory();
            container.assertMemoryIntact();
            container.podman().checkpoint(cuda, container.name(), stored);
            container.podman().restore(cuda, container.name(), PodmanRestore.defaults());
            container.assertMemoryIntact();
        }
    }

    private static String[] faults(SimulatorFaults faults) {
        return faults.environment().entrySet().stream()
                .flatMap(one -> Stream.of("--env", one.getKey() + "=" + one.getValue()))
                .toArray(String[]::new);
    }

    @Test
    void aSuspendThatFailsLeavesNothingInTheVolume() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/store"));
        SimulatorFaults faults = new SimulatorFaults().fail("cuCheckpointProcessCheckpoint#1", 999);
        try (TargetContainer container = startWithStore(store, faults(faults))) {
            failure(Problem.DRIVER, () -> container.podman().checkpoint(cuda, container.name(), stored));

            assertThat(store).isEmptyDirectory();
            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.RUNNING);
            container.assertMemoryIntact();
        }
    }

    @Test
    void memoryOfAProcessThatCannotBeWokenStaysInTheVolume() throws IOException {
        Path store = Files.createDirectory(directory.resolve("store"));
        PodmanCheckpoint stored = PodmanCheckpoint.defaults().storeAt(Path.of("/store"));
        SimulatorFaults faults = new SimulatorFaults()
                .fail("cuCheckpointProcessCheckpoint#1", 999)
                .fail("cuCheckpointProcessUnlock#1", 999);
        try (TargetContainer container = startWithStore(store, faults(faults))) {
            failure(Problem.DRIVER, () -> container.podman().checkpoint(cuda, container.name(), stored));

            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.LOCKED);
            assertThat(store.resolve("device-memory-1/memory-00")).exists();
            gpuProcess(container).resume();
            container.assertMemoryIntact();
        }
    }

    @Test
    void whereTheCheckpointFailsTheGpuProcessesRunAgain() throws IOException {
        Criu criu = Programs.criu();
        Path failing = Files.writeString(
                directory.resolve("criu"),
                "#!/bin/sh\n[ $1 != swrk ] || [ ! -e " + directory + "/fail ] || exit 3\nexec " + criu.program()
                        + " \"$@\"\n");
        Files.setPosixFilePermissions(failing, PosixFilePermissions.fromString("rwx------"));
        try (TargetContainer container = start()) {
            Files.createFile(directory.resolve("fail"));
            Podman podman = container.podman().criu(Criu.at(failing));

            TorporException e =
                    failure(Problem.TOOL, () -> podman.checkpoint(cuda, container.name(), PodmanCheckpoint.defaults()));

            assertThat(e)
                    .hasMessageStartingWith("podman could not checkpoint container " + container.name() + ": ")
                    .hasMessageEndingWith(" Its GPU processes run again.");
            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.RUNNING);
            container.assertMemoryIntact();
        }
    }

    @Test
    void oneThatCriuHasKilledIsNamed() throws IOException {
        Path failing = Files.writeString(
                directory.resolve("criu"),
                "#!/bin/sh\n[ $1 != swrk ] || [ ! -e " + directory + "/kill ] || { kill -9 $(cat " + directory
                        + "/kill); exit 3; }\nexec " + Programs.criu().program() + " \"$@\"\n");
        Files.setPosixFilePermissions(failing, PosixFilePermissions.fromString("rwx------"));
        try (TargetContainer container = start()) {
            long pid = gpuProcess(container).pid();
            Files.writeString(directory.resolve("kill"), Long.toString(pid));
            Podman podman = container.podman().criu(Criu.at(failing));

            assertThat(failure(
                            Problem.TOOL, () -> podman.checkpoint(cuda, container.name(), PodmanCheckpoint.defaults())))
                    .hasMessageEndingWith(" Process " + pid + " has ended.");
        }
    }

    @Test
    void whatCannotBeDoneIsSaidBeforeAnythingIs() throws IOException {
        try (TargetContainer container = start()) {
            Podman podman = container.podman();
            PodmanCheckpoint nowhere = PodmanCheckpoint.defaults().export(directory.resolve("none/archive.tar"));

            assertThat(failure(Problem.TOOL, () -> podman.checkpoint(cuda, "nosuch", PodmanCheckpoint.defaults())))
                    .hasMessageContaining("no such container");
            assertThat(failure(Problem.SNAPSHOT, () -> podman.checkpoint(cuda, container.name(), nowhere)))
                    .hasMessageContaining("The folder " + directory.resolve("none") + " is not there");
            assertThat(failure(
                            Problem.SNAPSHOT,
                            () -> podman.restoreFrom(cuda, directory.resolve("none"), PodmanRestore.defaults())))
                    .hasMessageContaining("There is no file ");
            assertThat(failure(Problem.TOOL, () -> podman.restore(cuda, container.name(), PodmanRestore.defaults())))
                    .hasMessageContaining("cannot restore");
            assertThat(gpuProcess(container).state()).isEqualTo(ProcessState.RUNNING);

            podman.checkpoint(cuda, container.name(), PodmanCheckpoint.defaults());
            assertThat(failure(
                            Problem.TOOL, () -> podman.checkpoint(cuda, container.name(), PodmanCheckpoint.defaults())))
                    .hasMessage("Container " + container.name() + " is exited, not running: start it first.");
        }
    }
}
