package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class StepTest {
    @Test
    void suspendingIsLockThenCheckpoint() {
        assertThat(Step.path(ProcessState.RUNNING, ProcessState.CHECKPOINTED))
                .containsExactly(Step.LOCK, Step.CHECKPOINT);
    }

    @Test
    void resumingIsRestoreThenUnlock() {
        assertThat(Step.path(ProcessState.CHECKPOINTED, ProcessState.RUNNING))
                .containsExactly(Step.RESTORE, Step.UNLOCK);
    }

    @ParameterizedTest
    @EnumSource
    void everyStepIsUndoneByItsInverse(Step step) {
        assertThat(step.inverse().from()).isEqualTo(step.to());
        assertThat(step.inverse().to()).isEqualTo(step.from());
        assertThat(step.inverse().inverse()).isEqualTo(step);
    }

    @Property
    void aPathIsAChainOfLegalSteps(@ForAll("states") ProcessState from, @ForAll("states") ProcessState to) {
        List<Step> path = Step.path(from, to);
        ProcessState at = from;
        for (Step step : path) {
            assertThat(step.from()).isEqualTo(at);
            at = step.to();
        }
        if (!path.isEmpty()) {
            assertThat(at).isEqualTo(to);
        }
    }

    @Property
    void noStepLeadsIntoOrOutOfAStateThatTheDriverLeavesByItself(
            @ForAll("states") ProcessState from, @ForAll("others") ProcessState other) {
        assertThat(Step.path(from, other)).isEmpty();
        assertThat(Step.path(other, from)).isEmpty();
    }

    @Provide
    Arbitrary<ProcessState> states() {
        return Arbitraries.integers().between(-1, 8).map(ProcessState::of);
    }

    @Provide
    Arbitrary<ProcessState> others() {
        return Arbitraries.integers().greaterOrEqual(3).map(ProcessState::of);
    }
}
