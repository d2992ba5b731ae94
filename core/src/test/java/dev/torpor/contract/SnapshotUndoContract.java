package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.Cancellation;
import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Saves that fail: the process runs on with its memory, or the snapshot is whole. */
public abstract class SnapshotUndoContract extends SnapshotTests {
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

    /** Waits until CRIU is asked for something, requests the cancellation, and lets the real CRIU do it. */
    private TorporException cancelledInCriu(Function<Criu, Callable<?>> act, Cancellation cancellation)
            throws Exception {
        Path begun = directory.resolve("begun");
        Path released = directory.resolve("released");
        Files.deleteIfExists(begun);
        Files.deleteIfExists(released);
        Criu waiting =
                criuThat("touch '" + begun + "'; until [ -e '" + released + "' ]; do sleep 0.05; done; exec REAL");
        Callable<?> running = act.apply(waiting);
        AtomicReference<TorporException> failed = new AtomicReference<>();
        Thread thread = new Thread(() -> failed.set(failure(Problem.CANCELLED, running::call)), "cancelled");
        thread.start();
        await().until(() -> Files.exists(begun));
        cancellation.request();
        Files.createFile(released);
        thread.join();
        return Objects.requireNonNull(failed.get());
    }

    @Test
    void aSaveIsCancelledWhileCriuDumps() throws Exception {
        try (Detached target = start(true)) {
            Cancellation cancellation = new Cancellation();
            Save options = Save.defaults().cancelledBy(cancellation);
            assertThat(cancelledInCriu(waiting -> () -> save(target, options, waiting), cancellation))
                    .hasMessage("The save of process " + target.pid() + " was cancelled. It is as it was before, and "
                            + folder() + " is removed.");
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
            failure(Problem.CANCELLED, () -> save(target, options));
            assertThat(folder()).doesNotExist();
            target.assertMemoryIntact();
            save(target, Save.defaults());
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aLoadIsCancelledWhileCriuRestores() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Cancellation cancellation = new Cancellation();
            Load options = Load.defaults().cancelledBy(cancellation);
            Snapshot snapshot = Snapshot.open(folder());
            assertThat(cancelledInCriu(waiting -> () -> snapshot.load(cuda, options.with(waiting)), cancellation))
                    .hasMessageContaining("have been killed");
            assertThat(target.isAlive()).isFalse();
            load();
            target.assertMemoryIntact();
        }
    }

    @Test
    void theLogThatAFailureNamesIsThere() throws Exception {
        try (Detached target = start(true)) {
            Criu failing = criuThat("echo 'Error (criu/x.c:1): no luck' > \"$3\"/$1.log");
            Path log = folder().resolveSibling(folder().getFileName() + ".dump.log");
            for (int round = 0; round < 2; round++) { // the second replaces the first
                assertThat(failure(Problem.TOOL, () -> save(target, Save.defaults(), failing)))
                        .hasMessageContaining("no luck")
                        .hasMessageContaining("Its log is " + log + ".");
                assertThat(log).content().contains("no luck");
                assertThat(folder()).doesNotExist();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void aCriuThatFailsWhenAllIsDoneCostsNothing() throws Exception {
        try (Detached target = start(true)) {
            Criu failing = criuThat("REAL");
            SnapshotReport down = save(target, Save.defaults(), failing);
            assertThat(down.notes()).hasSize(1);
            assertThat(target.isAlive()).isFalse();
            assertThat(loadFailsWith(failing)).hasMessageContaining("have been killed");
            assertThat(target.isAlive()).isFalse();
            load();
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
            String memory = "'" + folder() + "/device-memory-" + target.pid() + "/memory-00'";
            String elsewhere = "'" + directory + "/elsewhere'";
            Criu failing = criuThat(
                    "REAL --leave-running; mv " + memory + " " + elsewhere + "; ln -s " + elsewhere + " " + memory);
            assertThat(failure(Problem.TOOL, () -> save(target, Save.defaults(), failing)))
                    .hasMessageContaining("Undoing it failed too")
                    .hasMessageContaining("Keep " + folder());
            assertThat(folder().resolve("manifest.json")).doesNotExist();
            assertThat(folder().resolve("manifest.json.partial")).exists();
            Path file = folder().resolve("device-memory-" + target.pid()).resolve("memory-00");
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
                mounted(mount, "mount", "-t", "tmpfs", "-o", option, "none", mount.toString()),
                "needs root: nobody else can mount");
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
}
