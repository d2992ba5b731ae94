package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class StandingTest {
    private static final ProcessState RUNNING = ProcessState.RUNNING;
    private static final Standing AWAKE = new Standing(RUNNING, RUNNING);
    private static final Standing ASLEEP = new Standing(ProcessState.CHECKPOINTED, ProcessState.PARKED);

    @Test
    void parkingComesFirstAndUnparkingLast() {
        assertThat(AWAKE.path(ASLEEP)).containsExactly(Step.PARK, Step.LOCK, Step.CHECKPOINT);
        assertThat(ASLEEP.path(AWAKE)).containsExactly(Step.RESTORE, Step.UNLOCK, Step.UNPARK);
        assertThat(new Standing(ProcessState.LOCKED, ProcessState.PARKED).path(AWAKE))
                .containsExactly(Step.UNLOCK, Step.UNPARK);
    }

    @Test
    void whatIsLockedOrCheckpointedCanBeNeitherParkedNorUnparked() {
        Standing checkpointed = new Standing(ProcessState.CHECKPOINTED, RUNNING);
        assertThat(checkpointed.path(ASLEEP)).isEmpty();
        assertThat(ASLEEP.path(checkpointed)).isEmpty();
    }

    @Property
    void aPathIsAChainOfLegalStepsToTheGoal(@ForAll("standings") Standing from, @ForAll("standings") Standing to) {
        List<Step> path = from.path(to);
        Standing at = from;
        for (Step step : path) {
            assertThat(step.byShim() ? at.state() : at.driver()).isEqualTo(step.from());
            at = at.after(step);
        }
        if (!path.isEmpty()) {
            assertThat(at).isEqualTo(to);
        }
    }

    @Property
    void theStateIsTheShimsWhereTheDriverSaysThatItRuns(@ForAll("standings") Standing standing) {
        assertThat(standing.state()).isEqualTo(standing.driver().equals(RUNNING) ? standing.shim() : standing.driver());
    }

    @Provide
    Arbitrary<Standing> standings() {
        return Combinators.combine(
                        Arbitraries.integers().between(0, 3).map(ProcessState::of),
                        Arbitraries.of(RUNNING, ProcessState.PARKED))
                .as(Standing::new);
    }
}
