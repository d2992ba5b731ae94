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
        int digits = Report.number(limit, 3).endsWith("0") ? 2 : 3;
        return (simulated ? "SIMULATED goal: " : "Goal: ") + what + (least ? " at least " : " at most ")
                + Report.number(limit, digits) + ": measured " + Report.number(measured, digits) + ", reached: "
                + (reached ? "yes" : "no");
    }
}
