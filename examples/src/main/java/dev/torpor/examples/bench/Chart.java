package dev.torpor.examples.bench;

import dev.torpor.examples.bench.Parts.Part;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** A stacked bar for each run, in SVG; its colours are those of {@link Page}'s style sheet. */
final class Chart {
    private static final int WIDTH = 960;
    private static final int LABELS = 130;
    private static final int ROOM = 90; // for the sum behind a bar
    private static final int LEGEND = 24;
    private static final int LINE = 30;
    private static final int BAR = 18;

    private final Findings findings;
    private final double scale;
    private final List<String> lines = new ArrayList<>();

    private Chart(Findings findings) {
        this.findings = findings;
        double most = findings.outcomes().stream()
                .filter(Outcome::isMeasured)
                .mapToDouble(outcome -> outcome.sample(Measure.TOTAL).greatest())
                .max()
                .orElse(1);
        scale = (WIDTH - LABELS - ROOM) / most;
    }

    static String of(Findings findings) {
        return new Chart(findings).svg();
    }

    private String svg() {
        Set<Part> seen = EnumSet.noneOf(Part.class);
        List<Outcome> outcomes = findings.outcomes();
        for (int i = 0; i < outcomes.size(); i++) {
            seen.addAll(line(outcomes.get(i), LEGEND + LINE * i));
        }
        legend(seen);
        int height = LEGEND + LINE * outcomes.size();
        return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + WIDTH + " " + height
                + "\" role=\"img\"><title>" + Page.escaped(findings.title()) + "</title>\n"
                + String.join("\n", lines) + "\n</svg>\n";
    }

    private Set<Part> line(Outcome outcome, int top) {
        text(LABELS - 10, top + 14, "end", outcome.variant().toString());
        if (!outcome.isMeasured()) {
            text(LABELS, top + 14, "start", outcome.goesOn() ? "not measured" : outcome.status());
            return Set.of();
        }
        double x = LABELS;
        Map<Part, Double> parts = Parts.of(findings, outcome);
        for (Map.Entry<Part, Double> part : parts.entrySet()) {
            double width = part.getValue() * scale;
            rectangle(x, top, width, part.getKey(), part.getKey() + " " + Text.time(part.getValue()));
            x += width;
        }
        Sample total = outcome.sample(Measure.TOTAL);
        range(total, top + BAR / 2);
        text(Math.max(x, LABELS + total.greatest() * scale) + 6, top + 14, "start", Text.time(total.median()));
        return parts.keySet();
    }

    /** From the least to the greatest. */
    private void range(Sample total, int y) {
        lines.add(String.format(
                Locale.ROOT,
                "<line class=\"range\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>",
                LABELS + total.least() * scale,
                y,
                LABELS + total.greatest() * scale,
                y));
    }

    private void legend(Set<Part> seen) {
        int x = LABELS;
        for (Part part : seen) {
            rectangle(x, 0, 12, part, part.toString());
            text(x + 18, 13, "start", part.toString());
            x += 36 + 7 * part.toString().length(); // about as wide as the words are
        }
    }

    private void rectangle(double x, int y, double width, Part part, String title) {
        lines.add(String.format(
                Locale.ROOT,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>%s</title></rect>",
                part.key(),
                x,
                y,
                width,
                BAR,
                Page.escaped(title)));
    }

    private void text(double x, int y, String anchor, String words) {
        lines.add(String.format(
                Locale.ROOT,
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>",
                x,
                y,
                anchor,
                Page.escaped(words)));
    }
}
