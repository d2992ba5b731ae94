package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Manifest;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Loads that fail or must not begin: the snapshot is intact, and can be loaded afterwards. */
public abstract class SnapshotLoadFailureContract extends SnapshotTests {
    @Test
    void whoHasTakenThePidsMeanwhileIsNotKilled() throws Exception {
        try (Detached target = start(true)) {
            save(target, Save.defaults());
            Criu beaten =
                    criuThat("REAL; rm -f '" + folder() + "/criu/restore.pid'"); // somebody else's, who was faster
            assertThat(loadFailsWith(beaten)).hasMessageNotContaining("killed");
            assertThat(target.isAlive()).isTrue();
            cuda.process(target.pid()).resume();
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
            Path memory = folder().resolve("device-memory-" + target.pid()).resolve("memory-00");
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
}
