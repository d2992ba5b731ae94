package dev.torpor.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A picture: for each line two stacked bars beside each other, one down and one up, in SVG that needs nothing else. */
final class StackedBars {
    private static final int LABELS = 300;
    private static final int PANEL = 380;
    private static final int ROOM = 60; // for the sum behind a bar
    private static final int TOP = 84;
    private static final int LINE = 26;
    private static final int BAR = 16;
    private static final int WIDTH = LABELS + 2 * (PANEL + ROOM) + 20;
    private static final List<String> COLOURS =
            List.of("#1b7837", "#f1a340", "#542788", "#998ec3", "#d8b365", "#7fbf7b");

    /** A part of a bar. */
    record Part(String name, double value) {}

    private record Bars(String label, List<Part> down, List<Part> up) {}

    private final String title;
    private final String unit;
    private final List<Bars> lines = new ArrayList<>();
    private final Map<String, String> colours = new LinkedHashMap<>();

    StackedBars(String title, String unit) {
        this.title = title;
        this.unit = unit;
    }

    void add(String label, List<Part> down, List<Part> up) {
        for (List<Part> parts : List.of(down, up)) {
            parts.forEach(
                    part -> colours.computeIfAbsent(part.name(), name -> COLOURS.get(colours.size() % COLOURS.size())));
        }
        lines.add(new Bars(label, down, up));
    }

    String svg(boolean simulated) {
        int height = TOP + LINE * lines.size() + 12;
        StringBuilder svg = new StringBuilder("""
                <svg xmlns="http://www.w3.org/2000/svg" width="%1$d" height="%2$d" viewBox="0 0 %1$d %2$d" font-family="sans-serif" font-size="12" fill="#222">
                <rect width="%1$d" height="%2$d" fill="#fff"/>
                """.formatted(WIDTH, height));
        text(svg, 12, 22, "start", (simulated ? "SIMULATED: " : "") + title + ", " + unit);
        legend(svg);
        text(svg, LABELS, TOP - 10, "start", "suspend");
        text(svg, LABELS + PANEL + ROOM, TOP - 10, "start", "resume");
        double most = lines.stream()
                .mapToDouble(line -> Math.max(sum(line.down()), sum(line.up())))
                .max()
                .orElse(1);
        for (int i = 0; i < lines.size(); i++) {
            Bars line = lines.get(i);
            int y = TOP + LINE * i;
            text(svg, LABELS - 10, y + BAR - 3, "end", line.label());
            bar(svg, LABELS, y, line.down(), PANEL / most);
            bar(svg, LABELS + PANEL + ROOM, y, line.up(), PANEL / most);
        }
        return svg.append("</svg>\n").toString();
    }

    private void legend(StringBuilder svg) {
        int x = 12;
        for (Map.Entry<String, String> colour : colours.entrySet()) {
            rectangle(svg, x, 36, 12, colour.getValue());
            text(svg, x + 17, 48, "start", colour.getKey());
            x += 90;
        }
    }

    private void bar(StringBuilder svg, double from, int y, List<Part> parts, double scale) {
        double x = from;
        for (Part part : parts) {
            double width = part.value() * scale;
            if (width > 0) {
                rectangle(svg, x, y, width, colours.getOrDefault(part.name(), "#888"));
                x += width;
            }
        }
        double sum = sum(parts);
        text(svg, x + 5, y + BAR - 3, "start", sum < 0.01 ? number(sum, 4) : sum < 1 ? number(sum, 3) : number(sum, 2));
    }

    private static double sum(List<Part> parts) {
        return parts.stream().mapToDouble(Part::value).sum();
    }

    private static String number(double value, int digits) {
        return String.format(Locale.ROOT, "%." + digits + "f", value);
    }

    private static void rectangle(StringBuilder svg, double x, double y, double width, String colour) {
        svg.append("<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%d\" fill=\"%s\"/>%n"
                .formatted(number(x, 1), number(y, 1), number(width, 1), BAR, colour));
    }

    private static void text(StringBuilder svg, double x, double y, String anchor, String words) {
        svg.append("<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>%n"
                .formatted(
                        number(x, 1),
                        number(y, 1),
                        anchor,
                        words.replace("&", "&amp;").replace("<", "&lt;")));
    }
}
