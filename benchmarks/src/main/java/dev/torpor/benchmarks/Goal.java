package dev.torpor.benchmarks;

/**
 * What was to be reached, and whether it was.
 *
 * @param what is measured, with its unit
 * @param limit the least that will do, or the most
 * @param least whether the limit is the least
 */
record Goal(String what, double limit, boolean least, double measured) {
    static Goal atLeast(String what, double limit, double measured) {
        return new Goal(what, limit, true, measured);
    }

    static Goal atMost(String what, double limit, double measured) {
        return new Goal(what, limit, false, measured);
    }

    boolean reached() {
        return least ? measured >= limit : measured <= limit;
    }

    String text(boolean simulated) {
        return (simulated ? "SIMULATED goal: " : "Goal: ") + what + (least ? " at least " : " at most ")
                + Report.number(limit, 2) + ": measured " + Report.number(measured, 2) + ", reached: "
                + (reached() ? "yes" : "no");
    }
}
