package dev.torpor.benchmarks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What to run.
 *
 * @param parts of {@code init}, {@code state}, {@code start}, {@code copy}, {@code checkpoint}, {@code park}
 * @param quick as short as it can be: shows that everything works, and its figures are worth little
 * @param simulator instead of the real driver
 * @param rounds of everything that is done by turns; 0 lets each part choose
 * @param memory in bytes: the largest copy, or what a suspended process holds; 0 lets the part choose
 * @param out folder for the results
 */
record Settings(List<String> parts, boolean quick, boolean simulator, int rounds, long memory, Path out) {
    static final List<String> ALL = List.of("init", "state", "start", "copy", "checkpoint", "park");

    private static final Pattern SIZE = Pattern.compile("(\\d{1,9})([KMG])");

    /** @throws IllegalArgumentException with a sentence for the user */
    static Settings parse(String... words) {
        List<String> parts = new ArrayList<>();
        boolean quick = false;
        boolean simulator = false;
        int rounds = 0;
        long memory = 0;
        Path out = Path.of("results");
        for (int i = 0; i < words.length; i++) {
            switch (words[i]) {
                case "--quick" -> quick = true;
                case "--simulator" -> simulator = true;
                case "--rounds" -> rounds = Integer.parseInt(value(words, ++i));
                case "--memory" -> memory = size(value(words, ++i));
                case "--out" -> out = Path.of(value(words, ++i));
                case "all" -> parts.addAll(ALL);
                default -> parts.add(part(words[i]));
            }
        }
        return new Settings(
                parts.isEmpty() ? ALL : parts.stream().distinct().toList(), quick, simulator, rounds, memory, out);
    }

    /** How many to run of a part that usually runs so many. */
    int roundsOr(int usual) {
        return rounds > 0 ? rounds : quick ? 1 : usual;
    }

    long memoryOr(long usual) {
        return memory > 0 ? memory : usual;
    }

    /** A number with K, M or G. */
    private static long size(String text) {
        Matcher matcher = SIZE.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is no size: 512M and 8G are.");
        }
        return Long.parseLong(matcher.group(1)) << (10 * ("KMG".indexOf(matcher.group(2)) + 1));
    }

    private static String value(String[] words, int at) {
        if (at == words.length) {
            throw new IllegalArgumentException(words[at - 1] + " lacks its value");
        }
        return words[at];
    }

    private static String part(String word) {
        if (!ALL.contains(word)) {
            throw new IllegalArgumentException("There is no benchmark '" + word + "'.");
        }
        return word;
    }
}
