package dev.torpor.examples.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What came of one variant: its rounds, and why there are no more of them. */
final class Outcome {
    private final Variant variant;
    private final List<Map<Measure, Double>> rounds = new ArrayList<>();
    private @Nullable String skipped;
    private @Nullable RuntimeException failure;

    Outcome(Variant variant) {
        this.variant = variant;
    }

    Variant variant() {
        return variant;
    }

    void add(Map<Measure, Double> round) {
        rounds.add(Map.copyOf(round));
    }

    void skip(String why) {
        skipped = why;
    }

    void fail(RuntimeException why) {
        failure = why;
    }

    /** A variant that has failed is not tried again. */
    boolean goesOn() {
        return skipped == null && failure == null;
    }

    boolean isMeasured() {
        return !rounds.isEmpty();
    }

    List<Map<Measure, Double>> rounds() {
        return rounds;
    }

    /** Why it was not tried. */
    Optional<String> skipped() {
        return Optional.ofNullable(skipped);
    }

    /** What ended it. */
    Optional<RuntimeException> failure() {
        return Optional.ofNullable(failure);
    }

    /** {@code measured}, {@code skipped} or {@code failed}. */
    String status() {
        return skipped != null ? "skipped" : failure != null ? "failed" : "measured";
    }

    /** Why it is not {@code measured}, in a sentence; empty if it is. */
    String reason() {
        return skipped != null ? skipped : failure == null ? "" : message(failure);
    }

    private static String message(RuntimeException failure) {
        return Objects.requireNonNullElse(failure.getMessage(), failure.toString());
    }

    Sample sample(Measure measure) {
        return new Sample(rounds.stream()
                .filter(round -> round.containsKey(measure))
                .map(round -> round.get(measure))
                .toList());
    }

    /** 0 where it is not known. */
    double median(Measure measure) {
        Sample sample = sample(measure);
        return sample.isEmpty() ? 0 : sample.median();
    }
}
