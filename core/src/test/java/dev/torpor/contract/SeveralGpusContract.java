package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Cuda;
import dev.torpor.GpuUuid;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Resume;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A process that one controller suspends from one GPU and another resumes, while another GPU is full. Every test ends by looking at its memory. */
@Timeout(120)
public abstract class SeveralGpusContract extends TypedContract {
    private static final long LEFT = 32L << 20;
    private static final String RECORDS = "torpor.records";

    @TempDir
    private Path directory;

    @BeforeEach
    void needsTwoGpus() {
        Assumptions.assumeTrue(cuda.devices().size() > 1, "needs two GPUs");
        System.setProperty(RECORDS, directory.resolve("records").toString());
    }

    @AfterEach
    void usualRecords() {
        System.clearProperty(RECORDS);
    }

    private GpuUuid gpu(int ordinal) {
        return cuda.devices().get(ordinal).uuid();
    }

    /** Leaves too little on the second GPU for anything. */
    private Target occupant() {
        Target occupant = Target.start("--memory", SMALL, "--device", "1");
        occupant.tell("alloc " + (cuda.freeBytes(gpu(1)).orElseThrow() - LEFT));
        return occupant;
    }

    @Test
    void theRecordOfOneControllerTellsTheNext() {
        try (Target target = Target.start("--memory", "128M")) {
            cuda.process(target.pid()).suspend();
            assertThat(directory.resolve("records")).isNotEmptyDirectory();
            try (Target occupant = occupant();
                    Cuda other = Cuda.open(options())) {
                other.process(target.pid()).resume();
                occupant.assertMemoryIntact();
            }
            assertThat(directory.resolve("records")).isEmptyDirectory();
            target.assertMemoryIntact();
        }
    }

    @Test
    void withoutARecordTheCallerSaysWhichGpuItWas() {
        System.setProperty(RECORDS, directory.resolve("not/there").toString());
        try (Target target = Target.start("--memory", "128M");
                Cuda other = Cuda.open(options())) {
            cuda.process(target.pid()).suspend();
            try (Target occupant = occupant()) {
                assertThat(failure(
                                Problem.DEVICE_MEMORY,
                                () -> other.process(target.pid()).resume()))
                        .hasMessageContaining("name those GPUs");
                assertThat(other.process(target.pid()).state()).isEqualTo(ProcessState.CHECKPOINTED);
                failure(
                        Problem.DEVICE_MEMORY,
                        () -> other.process(target.pid())
                                .resume(Resume.defaults().onDevices(gpu(1))));
                other.process(target.pid()).resume(Resume.defaults().onDevices(gpu(0)));
                occupant.assertMemoryIntact();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void withoutARecordTheShimTells() {
        System.setProperty(RECORDS, directory.resolve("not/there").toString());
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment, ShimOptions.defaults().folder(directory.resolve("run")));
        try (Target target = Target.start(environment, "--memory", "128M");
                Cuda other = Cuda.open(options())) {
            cuda.process(target.pid()).suspend();
            try (Target occupant = occupant()) {
                other.process(target.pid()).resume();
                occupant.assertMemoryIntact();
            }
            target.assertMemoryIntact();
        }
    }

    @Test
    void aProcessThatHasGrownSinceIsNotRestoredByWhatItNeededBefore() {
        try (Target target = Target.start("--memory", SMALL);
                Cuda other = Cuda.open(options())) {
            var service = cuda.process(target.pid());
            service.suspend();
            service.resume();
            target.tell("alloc 512M");
            other.process(target.pid()).suspend();
            try (Target occupant = Target.start("--memory", SMALL)) {
                occupant.tell("alloc " + (freeBytes() - (256L << 20)));
                assertThat(failure(Problem.DEVICE_MEMORY, service::resume)).hasMessageContaining("still checkpointed");
                occupant.assertMemoryIntact();
            }
            service.resume();
            target.assertMemoryIntact();
        }
    }
}
