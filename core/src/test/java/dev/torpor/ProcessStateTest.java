package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class ProcessStateTest {
    @Test
    void knownStatesPrintTheirName() {
        assertThat(ProcessState.of(0)).isEqualTo(ProcessState.RUNNING).hasToString("running");
        assertThat(ProcessState.of(4)).isEqualTo(ProcessState.CHECKPOINTING).hasToString("checkpointing");
    }

    @Test
    void aStateOfANewerDriverIsAValueThatPrintsItsNumber() {
        assertThat(ProcessState.of(17)).hasToString("state 17");
        assertThat(ProcessState.of(17).isKnown()).isFalse();
    }

    @Property
    void everyNumberIsAState(@ForAll int code) {
        assertThat(ProcessState.of(code).code()).isEqualTo(code);
        assertThat(ProcessState.of(code)).isEqualTo(ProcessState.of(code)).hasSameHashCodeAs(ProcessState.of(code));
        assertThat(ProcessState.of(code).toString()).isNotEmpty();
    }
}
