package dev.torpor.snapshot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.torpor.criu.CriuDump;
import java.util.List;
import org.junit.jupiter.api.Test;

class SaveTest {
    @Test
    void whetherTheProcessesAreLeftRunningIsNotCriusToSay() {
        CriuDump dump = CriuDump.defaults();
        for (CriuDump leaving : List.of(dump.leaveRunning(), dump.arguments("-R"), dump.arguments("--leave-running"))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> Save.defaults().criu(leaving))
                    .withMessageContaining("let the save leave them running instead");
        }
        assertThat(Save.defaults().criu(dump.linkRemap()).leaveRunning().dump().leavesRunning())
                .isTrue();
    }
}
