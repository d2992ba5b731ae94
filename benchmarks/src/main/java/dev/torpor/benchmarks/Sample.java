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

    /** The value below which this part of the values lies, interpolated between its two neighbours; NaN of no values. */
    double quantile(double part) {
        if (values.isEmpty()) {
            return Double.NaN;
        }
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        double at = part * (sorted.size() - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.size() - 1);
        double least = sorted.get(low);
        return least + (at - low) * (sorted.get(high) - least);
    }
}
