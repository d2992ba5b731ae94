package dev.torpor.mps;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Failures;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.util.List;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class ControlProgramTest {
    @Property
    void everyProcessIdIsRead(@ForAll List<@IntRange(min = 1, max = 1 << 22) Integer> pids, @ForAll boolean lines) {
        String answer = pids.stream().map(Object::toString).collect(Collectors.joining(lines ? "\n" : " ", "", "\n"));
        List<Long> expected = pids.stream().map(Integer::longValue).toList();
        assertThat(ControlProgram.parse("get_server_list", answer)).isEqualTo(expected);
    }

    @Property
    void anythingElseIsASentenceOrEmpty(@ForAll String answer) {
        try {
            assertThat(ControlProgram.parse("get_server_list", answer))
                    .allSatisfy(pid -> assertThat(pid).isNotNegative());
        } catch (TorporException e) {
            assertThat(e.problem()).isEqualTo(Problem.TOOL);
            assertThat(e.getMessage()).contains("'get_server_list'").endsWith(".");
        }
    }

    @Test
    void theWordsOfTheProgramAreInTheError() {
        assertThat(Failures.failure(
                        Problem.TOOL, () -> ControlProgram.parse("get_client_list 7", "Server 7 not found\n")))
                .hasMessage(
                        "nvidia-cuda-mps-control answered 'get_client_list 7' with no process ids (Server 7 not found).");
    }
}
