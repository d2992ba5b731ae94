package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What tests of transitions look at. */
public final class Failures {
    private Failures() {}

    /** The failure with which a call ends, of a certain kind. */
    public static TorporException failure(Problem problem, ThrowingCallable call) {
        TorporException e = catchThrowableOfType(TorporException.class, call);
        assertThat(e).as("a failure").isNotNull();
        assertThat(e.problem()).as(e.getMessage()).isEqualTo(problem);
        return e;
    }

    /** The names of phases, in their order. */
    public static List<String> names(List<Phase> phases) {
        return phases.stream().map(Phase::name).toList();
    }
}
