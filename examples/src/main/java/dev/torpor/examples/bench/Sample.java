package dev.torpor.examples.bench;

import java.util.List;

/**
 * What was measured of one thing, in all rounds.
 *
 * @param values from the least to the greatest
 */
record Sample(List<Double> values) {
    Sample {
        values = values.stream().sorted().toList();
    }

    boolean isEmpty() {
        return values.isEmpty();
    }

    int size() {
        return values.size();
    }

    /** The one in the middle, or what is half-way between the two in the middle. */
    double median() {
        int size = values.size();
        return (values.get((size - 1) / 2) + values.get(size / 2)) / 2;
    }

    double least() {
        return values.get(0);
    }

    double greatest() {
        return values.get(values.size() - 1);
    }

    /** Whether there is a value that both ranges, from the least to the greatest, have in common. */
    boolean overlaps(Sample other) {
        return least() <= other.greatest() && other.least() <= greatest();
    }
}
