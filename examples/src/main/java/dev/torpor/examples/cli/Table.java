package dev.torpor.examples.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;

/** Rows under a heading, each column as wide as its widest cell. */
public final class Table {
    private final List<String[]> rows = new ArrayList<>();

    /** An empty one. */
    public Table(String... heading) {
        rows.add(heading);
    }

    /** As many cells as the heading has. */
    public void add(String... row) {
        rows.add(row);
    }

    @Override
    public String toString() {
        int[] widths = new int[rows.get(0).length];
        for (String[] row : rows) {
            for (int i = 0; i < row.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        StringJoiner text = new StringJoiner("\n");
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                line.append(row[i]).append(" ".repeat(widths[i] - row[i].length() + 2));
            }
            text.add(line.toString().stripTrailing());
        }
        return text.toString();
    }
}
