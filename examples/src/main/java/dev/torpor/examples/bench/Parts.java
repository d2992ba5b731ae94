package dev.torpor.examples.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What the time of waking up is made of, as far as it is known: medians, which add up to the median of the whole. */
final class Parts {
    /** The parts, in the order in which a bar has them. */
    enum Part {
        PROCESS("process", "process (CRIU)"),
        CONTEXT("context", "context (driver)"),
        DEVICE_MEMORY("memory", "device memory"),
        UNDIVIDED("undivided", "context and device memory (driver)"),
        REST("rest", "rest");

        private final String key;
        private final String label;

        Part(String key, String label) {
            this.key = key;
            this.label = label;
        }

        /** As JSON has it. */
        String jsonKey() {
            return switch (this) {
                case PROCESS -> "process";
                case CONTEXT -> "context";
                case DEVICE_MEMORY -> "deviceMemory";
                case UNDIVIDED -> "contextAndDeviceMemory";
                case REST -> "rest";
            };
        }

        /** For a style sheet. */
        String key() {
            return key;
        }

        @Override
        public String toString() {
            return label;
        }
    }

    private Parts() {}

    /** In seconds, in their order, without those that take no time; empty for what was not measured. */
    static Map<Part, Double> of(Findings findings, Outcome outcome) {
        Map<Part, Double> parts = new LinkedHashMap<>();
        if (!outcome.isMeasured()) {
            return parts;
        }
        double driver = outcome.median(Measure.DRIVER);
        double unpark = outcome.median(Measure.UNPARK);
        Optional<Double> bare = bareContext(findings);
        put(parts, Part.PROCESS, outcome.median(Measure.CRIU));
        if (outcome.variant().parks()) {
            put(parts, Part.CONTEXT, driver);
            put(parts, Part.DEVICE_MEMORY, unpark);
        } else if (bare.isPresent()) {
            double context = Math.min(driver, bare.get());
            put(parts, Part.CONTEXT, context);
            put(parts, Part.DEVICE_MEMORY, driver - context);
        } else {
            put(parts, Part.UNDIVIDED, driver);
        }
        double known = parts.values().stream().mapToDouble(Double::doubleValue).sum();
        put(parts, Part.REST, outcome.median(Measure.TOTAL) - known);
        return parts;
    }

    private static void put(Map<Part, Double> parts, Part part, double seconds) {
        if (seconds > 0) {
            parts.put(part, seconds);
        }
    }

    /** What the driver takes where the shim has left it nothing but the context, and everything else is as it is for most. */
    private static Optional<Double> bareContext(Findings findings) {
        return findings.outcomes().stream()
                .filter(outcome -> outcome.variant() == Variant.PARKED && outcome.isMeasured())
                .map(outcome -> outcome.median(Measure.DRIVER))
                .findFirst();
    }

    static List<String> remarks(Findings findings) {
        List<String> remarks = new ArrayList<>();
        remarks.add(
                bareContext(findings).isPresent()
                        ? "Parts: the driver restores context and device memory in one step; what of it is the context is what the"
                                + " driver takes in the run '" + Variant.PARKED + "', where only that is left."
                        : "Parts: the driver restores context and device memory in one step, and without the run '"
                                + Variant.PARKED + "' nothing tells them apart.");
        if (findings.depth() != Depth.CHECKPOINT) {
            remarks.add(
                    "Where nothing is parked, device memory is in CRIU's images, so that CRIU's part moves it, too.");
        }
        return remarks;
    }
}
