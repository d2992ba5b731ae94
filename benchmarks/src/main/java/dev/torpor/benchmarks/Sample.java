package dev.torpor.benchmarks;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Measured values of one thing. */
record Sample(String name, String unit, List<Double> values) {
    Sample(String name, String unit) {
        this(name, unit, new ArrayList<>());
    }

    void add(double value) {
        values.add(value);
    }

    double median() {
        return quantile(0.5);
    }

    /** Each value, divided by the other's of the same turn: what drifts, drifts for both. */
    Sample over(Sample other) {
        Sample ratios = new Sample(name, "");
        for (int i = 0; i < Math.min(values.size(), other.values.size()); i++) {
            ratios.add(values.get(i) / other.values.get(i));
        }
        return ratios;
    }

    double quantile(double part) {
        if (values.isEmpty()) {
            return Double.NaN;
        }
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        return sorted.get(Math.min(sorted.size() - 1, (int) (part * sorted.size())));
    }
}
