package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Resume;
import dev.torpor.Suspend;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Suspends of processes whose control groups limit their memory: what would have the kernel kill them is refused, and nothing else is. */
@Timeout(120)
public abstract class MemoryGroupContract extends TypedContract {
    private static final Suspend DOWN = Suspend.to(Level.CHECKPOINT);
    private static final String MEMORY =
            "128M"; // and a few MiB of the driver's; what a restore takes again is charged, too

    @BeforeEach
    void needsSmallContexts() {
        Machine.assumeSimulator("the limits are of its sizes");
    }

    @Test
    void aProcessWhoseGroupHasNoRoomIsRefusedAndRunsOn() {
        try (MemoryGroup group = MemoryGroup.of(180);
                Target target = Target.start("--memory", MEMORY)) {
            group.take(target);
            GpuProcess process = cuda.process(target.pid());
            assertThat(failure(Problem.HOST_MEMORY, process::suspend))
                    .hasMessageContaining("the control group /torpor-test-")
                    .hasMessageContaining("raise its limit");
            assertThat(process.state()).isEqualTo(ProcessState.RUNNING);
            target.assertMemoryIntact();
            group.limit(500);
            process.suspend();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void processesInGroupsWithRoomForOneEachSleepTogether() {
        try (MemoryGroup one = MemoryGroup.of(300);
                MemoryGroup two = MemoryGroup.of(300);
                Target first = Target.start("--memory", MEMORY);
                Target second = Target.start("--memory", MEMORY)) {
            one.take(first);
            two.take(second);
            GpuGroup group = GpuGroup.of(List.of(cuda.process(first.pid()), cuda.process(second.pid())));
            assertThat(group.suspend(DOWN)).extracting(Report::end).containsOnly(ProcessState.CHECKPOINTED);
            group.resume(Resume.defaults());
            first.assertMemoryIntact();
            second.assertMemoryIntact();
        }
    }

    @Test
    void processesInGroupsThatShareALimitMustFitItTogether() {
        try (MemoryGroup both = MemoryGroup.of(300);
                MemoryGroup one = both.inner("one", 1000);
                MemoryGroup two = both.inner("two", 1000);
                Target first = Target.start("--memory", MEMORY);
                Target second = Target.start("--memory", MEMORY)) {
            one.take(first);
            two.take(second);
            GpuGroup group = GpuGroup.of(List.of(cuda.process(first.pid()), cuda.process(second.pid())));
            assertThat(failure(Problem.HOST_MEMORY, () -> group.suspend(DOWN)))
                    .hasMessageContaining("Process " + second.pid() + " needs")
                    .hasMessageContaining("for others of the group");
            first.assertMemoryIntact();
            second.assertMemoryIntact();
            both.limit(800);
            group.suspend(DOWN);
            group.resume(Resume.defaults());
            first.assertMemoryIntact();
            second.assertMemoryIntact();
        }
    }
}
