package dev.torpor.examples.bench;

import java.util.List;

/** The protocol as one page, which needs nothing from elsewhere. */
final class Page {
    private static final String STYLE = """
            :root { color-scheme: light dark; --back: #fff; --ink: #1c1c1c; --soft: #5a5a5a; --line: #d5d5d5;
              --process: #c9a227; --context: #3b6fb6; --memory: #2e8b57; --undivided: #3aa6b9; --rest: #a8a8a8; }
            @media (prefers-color-scheme: dark) { :root { --back: #16181b; --ink: #e8e8e8; --soft: #a5a9ae; --line: #3a3e44;
              --process: #d9b84a; --context: #6f9fe0; --memory: #58b984; --undivided: #63c5d6; --rest: #777c82; } }
            body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: var(--back); color: var(--ink);
              font: 15px/1.5 system-ui, sans-serif; }
            table { border-collapse: collapse; }
            .wide { overflow-x: auto; }
            th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap;
              font-variant-numeric: tabular-nums; }
            dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
            dt, li { color: var(--soft); }
            dd { margin: 0; }
            .simulated { padding: .5rem 1rem; border: 2px solid #c0392b; font-weight: bold; }
            svg { width: 100%; height: auto; margin: 1rem 0; font-size: 13px; }
            svg text { fill: var(--ink); }
            svg .range { stroke: var(--ink); stroke-width: 1.5; }
            .process { fill: var(--process); } .context { fill: var(--context); } .memory { fill: var(--memory); }
            .undivided { fill: var(--undivided); } .rest { fill: var(--rest); }
            """;

    private Page() {}

    /** Well-formed XML, so that it can be checked. */
    static String of(Protocol protocol) {
        String title = protocol.title();
        StringBuilder page = new StringBuilder();
        page.append("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n");
        page.append("<meta charset=\"utf-8\"/>\n");
        page.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
        page.append("<title>").append(title).append("</title>\n<style>\n").append(STYLE);
        page.append("</style>\n</head>\n<body>\n<h1>").append(title).append("</h1>\n");
        if (protocol.simulated()) {
            page.append(
                    "<p class=\"simulated\">SIMULATED: no GPU was there, and no time here says anything about one.</p>\n");
        }
        page.append("<dl>\n");
        protocol.host()
                .forEach((name, value) -> page.append("<dt>")
                        .append(escaped(name))
                        .append("</dt><dd>")
                        .append(escaped(value))
                        .append("</dd>\n"));
        page.append("</dl>\n");
        protocol.findings().forEach(found -> section(page, found));
        page.append("<h2>How it was measured</h2>\n");
        list(page, protocol.notes());
        return page.append("</body>\n</html>\n").toString();
    }

    private static void section(StringBuilder page, Findings found) {
        page.append("<h2>").append(escaped(found.title())).append("</h2>\n");
        if (found.skipped().isEmpty()) {
            page.append(Chart.of(found));
            List<List<String>> rows = found.table();
            page.append("<div class=\"wide\"><table>\n");
            row(page, "th", rows.get(0));
            rows.subList(1, rows.size()).forEach(row -> row(page, "td", row));
            page.append("</table></div>\n");
        }
        list(page, found.remarks());
    }

    private static void list(StringBuilder page, List<String> sentences) {
        page.append("<ul>\n");
        sentences.forEach(
                sentence -> page.append("<li>").append(escaped(sentence)).append("</li>\n"));
        page.append("</ul>\n");
    }

    private static void row(StringBuilder page, String tag, List<String> cells) {
        page.append("<tr>");
        cells.forEach(cell -> page.append('<')
                .append(tag)
                .append('>')
                .append(escaped(cell))
                .append("</")
                .append(tag)
                .append('>'));
        page.append("</tr>\n");
    }

    /** Text for an element or an attribute; what XML cannot have, such as an escape of a terminal, becomes a question mark. */
    static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                default -> escaped.appendCodePoint(isAllowed(c) ? c : '?');
            }
        });
        return escaped.toString();
    }

    private static boolean isAllowed(int c) {
        return c == '\t' || c == '\n' || (c >= ' ' && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD) || c > 0xFFFF;
    }
}
