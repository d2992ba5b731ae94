package dev.torpor.benchmarks;

/**
 * What was to be reached, and whether it was.
 *
 * @param what is measured, with its unit
 * @param least whether the limit is the least that will do, or the most
 */
record Goal(String what, boolean least, double limit, double measured, boolean reached) {
    static Goal atLeast(String what, double limit, double measured) {
        return new Goal(what, true, limit, measured, measured >= limit);
    }

    static Goal atMost(String what, double limit, double measured) {
        return new Goal(what, false, limit, measured, measured <= limit);
    }

    String text(boolean simulated) {
        return (simulated ? "SIMULATED goal: " : "Goal: ") + what + (least ? " at least " : " at most ")
                + Report.number(limit, 2) + ": measured " + Report.number(measured, 2) + ", reached: "
                + (reached ? "yes" : "no");
    }
}
