package dev.torpor.benchmarks;

/** A program ended with another status than 0. */
final class ChildFailure extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;
    private final String said;

    ChildFailure(int status, String said, String command) {
        super("status " + status + " of: " + command + "\n" + said);
        this.status = status;
        this.said = said;
    }

    int status() {
        return status;
    }

    /** On its standard error. */
    String said() {
        return said;
    }
}
