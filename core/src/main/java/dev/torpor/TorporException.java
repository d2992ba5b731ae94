package dev.torpor;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The one exception of the library: a sentence that says what failed, where, and what to do. */
public final class TorporException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final Problem problem;
    private final int cudaResult;
    private final transient @Nullable Report report;

    /** One that no step of the driver has to do with. For the library's own packages. */
    public TorporException(Problem problem, String message) {
        this(problem, 0, message, null);
    }

    TorporException(Problem problem, int cudaResult, String message, @Nullable Report report) {
        super(message);
        this.problem = problem;
        this.cudaResult = cudaResult;
        this.report = report;
    }

    /** The kind of failure. */
    public Problem problem() {
        return problem;
    }

    /** The {@code CUresult} behind it; 0 if it was found before the driver was asked. */
    public int cudaResult() {
        return cudaResult;
    }

    /**
     * How far a transition got, what was undone, and the state of the process now; empty if no step was begun, and after
     * deserialization.
     */
    public Optional<Report> report() {
        return Optional.ofNullable(report);
    }
}
