package dev.torpor.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/** One part's results: a table to read, remarks, and every value that was measured. */
final class Report {
    final String part;
    final String title;
    final List<String> columns;
    final List<List<String>> rows = new ArrayList<>();
    final List<String> remarks = new ArrayList<>();
    final List<Goal> goals = new ArrayList<>();
    final List<Sample> samples = new ArrayList<>();

    /** An SVG picture; not a part of the JSON. */
    transient @Nullable String chart;

    Report(String part, String title, String... columns) {
        this.part = part;
        this.title = title;
        this.columns = List.of(columns);
    }

    void row(String... cells) {
        rows.add(List.of(cells));
    }

    void remark(String text) {
        remarks.add(text);
    }

    /** The shim's statistics, NAME=VALUE, without those that are zero. */
    void remarkStatistics(String whose, String statistics) {
        StringJoiner rest = new StringJoiner(" ");
        for (String word : statistics.split(" ", -1)) {
            if (!word.matches(".*=0(\\.0+)?")) {
                rest.add(word);
            }
        }
        remark(whose + ": " + rest);
    }

    void goal(Goal goal) {
        goals.add(goal);
    }

    Sample sample(String name, String unit) {
        Sample sample = new Sample(name, unit);
        samples.add(sample);
        return sample;
    }

    static String number(double value, int digits) {
        return Double.isNaN(value) ? "–" : String.format(Locale.ROOT, "%." + digits + "f", value);
    }

    String markdown(Machine machine) {
        StringBuilder text = new StringBuilder("### " + title + "\n\n" + machine + "\n\n");
        line(text, columns);
        line(text, columns.stream().map(column -> "---").toList());
        rows.forEach(row -> line(text, row));
        text.append('\n');
        if (chart != null) {
            text.append("![%s](%s.svg)\n\n".formatted(title, part));
        }
        goals.forEach(
                goal -> text.append("- ").append(goal.text(machine.simulated())).append('\n'));
        remarks.forEach(remark -> text.append("- ").append(remark).append('\n'));
        return text.toString();
    }

    private static void line(StringBuilder text, List<String> cells) {
        text.append("| ").append(String.join(" | ", cells)).append(" |\n");
    }
}
