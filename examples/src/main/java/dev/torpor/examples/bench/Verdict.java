package dev.torpor.examples.bench;

/**
 * Whether a way to wake up is faster than the first one. The rule: it is, if the slowest of its rounds was faster than the fastest of the
 * first one's; where the ranges of the rounds overlap, the difference lies within the noise.
 */
enum Verdict {
    /** It is what the others are compared with. */
    BASELINE("baseline"),
    /** Every round was faster than each of the baseline. */
    FASTER("faster"),
    /** Every round was slower than each of the baseline. */
    SLOWER("slower"),
    /** The ranges of the rounds overlap. */
    NOISE("within noise"),
    /** One of both has fewer than two rounds, which have no range. */
    TOO_FEW("too few rounds");

    private final String words;

    Verdict(String words) {
        this.words = words;
    }

    static Verdict of(Sample baseline, Sample other) {
        if (baseline.size() < 2 || other.size() < 2) {
            return TOO_FEW;
        }
        if (other.overlaps(baseline)) {
            return NOISE;
        }
        return other.greatest() < baseline.least() ? FASTER : SLOWER;
    }

    /** The share of the baseline's median that is saved; negative if it takes longer. */
    static double improvement(Sample baseline, Sample other) {
        return 1 - other.median() / baseline.median();
    }

    /**
     * How often the rule would tell two things apart that do not differ: all rounds of one come before all of the other in 2 of all the
     * orders that there are.
     *
     * @param one rounds of the one, more than 0
     * @param other rounds of the other, more than 0
     * @return between 0 and 1
     */
    static double chanceOfError(int one, int other) {
        double orders = 1;
        for (int i = 1; i <= other; i++) {
            orders = orders * (one + i) / i;
        }
        return Math.min(1, 2 / orders);
    }

    @Override
    public String toString() {
        return words;
    }
}
