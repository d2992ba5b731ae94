package dev.torpor.ffm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuProcess;
import dev.torpor.ProcessState;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.contract.ChildJvm;
import dev.torpor.contract.Detached;
import dev.torpor.contract.Machine;
import dev.torpor.contract.NeedsCriu;
import dev.torpor.contract.Programs;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whenever a controller is killed, there is the process or the snapshot, with the memory intact. */
@NeedsCriu
@Tag("soak")
class SnapshotKillTest {
    private static final int ROUNDS = 3 * Integer.getInteger("torpor.test.soak", 1);

    @TempDir
    private Path directory = Path.of("");

    private final Random random = new Random(4711);

    /** A controller of its own: {@code save PID FOLDER} or {@code load FOLDER}. */
    static final class Controller {
        private Controller() {}

        public static void main(String[] words) {
            try (Cuda cuda = opened()) {
                System.out.println("READY");
                if (words[0].equals("save")) {
                    Snapshot.save(cuda, Long.parseLong(words[1]), Path.of(words[2]), Save.defaults());
                } else {
                    Snapshot.open(Path.of(words[1])).load(cuda, Load.defaults());
                }
            }
        }
    }

    private static Cuda opened() {
        return Cuda.open(CudaOptions.defaults()
                .provider("ffm")
                .library(Machine.libcuda())
                .nvml(Machine.libnvml()));
    }

    /** Killed so long after it has begun. */
    private static boolean killedAfter(long millis, Object... words) throws Exception {
        Process controller = ChildJvm.of(Controller.class, words).start();
        assertThat(controller.inputReader().readLine()).isEqualTo("READY");
        boolean ended = controller.waitFor(millis, TimeUnit.MILLISECONDS);
        controller.destroyForcibly().waitFor();
        return !ended;
    }

    /** CRIU outlives who called it. */
    private static void awaitCriu(Path folder) throws InterruptedException {
        String images = folder.resolve("criu").toString();
        for (int i = 0; i < 6000 && isNamed(images); i++) {
            Thread.sleep(10);
        }
        assertThat(isNamed(images)).as("CRIU is still at work").isFalse();
    }

    private static boolean isNamed(String images) {
        return ProcessHandle.allProcesses()
                .anyMatch(process -> process.info().commandLine().orElse("").contains(images));
    }

    private Detached start() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment, ShimOptions.defaults().folder(directory.resolve("run")));
        return Detached.start(directory, environment, "--memory", "64M");
    }

    /** What is done to a target in a folder, by somebody and round by round. */
    private interface Rounds {
        boolean killed(Cuda cuda, Detached target, Path folder) throws Exception;
    }

    private void everyRoundLeavesTheMemory(boolean saved, Rounds rounds) throws Exception {
        Machine.assumeSimulator("nobody is killed on a real GPU");
        Programs.criu();
        Path folder = directory.resolve("saved");
        int killed = 0;
        try (Detached target = start();
                Cuda cuda = opened()) {
            if (saved) {
                Snapshot.save(cuda, target.pid(), folder, Save.defaults());
            }
            for (int round = 0; round < ROUNDS; round++) {
                killed += rounds.killed(cuda, target, folder) ? 1 : 0;
            }
        }
        assertThat(killed).isPositive();
    }

    @Test
    void aSaveThatIsKilledLeavesTheProcessOrTheSnapshot() throws Exception {
        everyRoundLeavesTheMemory(false, (cuda, target, folder) -> {
            boolean killed = killedAfter(random.nextInt(900), "save", target.pid(), folder);
            awaitCriu(folder);
            awaken(cuda, target, folder);
            target.assertMemoryIntact();
            assertThat(new ProcessBuilder("rm", "-rf", folder.toString())
                            .start()
                            .waitFor())
                    .isZero();
            return killed;
        });
    }

    @Test
    void aLoadThatIsKilledLeavesTheSnapshot() throws Exception {
        everyRoundLeavesTheMemory(true, (cuda, target, folder) -> {
            boolean killed = killedAfter(random.nextInt(700), "load", folder);
            awaitCriu(folder);
            assertThat(Snapshot.open(folder).verify()).isPositive();
            awaken(cuda, target, folder);
            target.assertMemoryIntact();
            target.quit();
            return killed;
        });
    }

    /** As somebody would who finds them so. */
    private static void awaken(Cuda cuda, Detached target, Path folder) throws InterruptedException {
        for (int i = 0; i < 500 && target.isAlive() && Files.exists(folder.resolve("manifest.json")); i++) {
            Thread.sleep(10); // CRIU has killed it, and it is about to be gone; or it was loaded
        }
        if (!target.isAlive()) {
            Snapshot.open(folder).load(cuda, Load.defaults());
            return;
        }
        GpuProcess process = cuda.process(target.pid());
        if (!process.state().equals(ProcessState.RUNNING)) {
            process.resume();
        }
    }
}
