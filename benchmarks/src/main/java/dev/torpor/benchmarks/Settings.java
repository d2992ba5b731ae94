package dev.torpor.benchmarks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What to run.
 *
 * @param parts of {@code init}, {@code state}, {@code start}
 * @param quick as short as it can be: shows that everything works, and its figures are worth little
 * @param simulator instead of the real driver
 * @param rounds of everything that is run afresh each time
 * @param out folder for the results
 */
record Settings(List<String> parts, boolean quick, boolean simulator, int rounds, Path out) {
    static final List<String> ALL = List.of("init", "state", "start");
    private static final int ROUNDS = 10;

    /** @throws IllegalArgumentException with a sentence for the user */
    static Settings parse(String... words) {
        List<String> parts = new ArrayList<>();
        boolean quick = false;
        boolean simulator = false;
        int rounds = 0;
        Path out = Path.of("results");
        for (int i = 0; i < words.length; i++) {
            switch (words[i]) {
                case "--quick" -> quick = true;
                case "--simulator" -> simulator = true;
                case "--rounds" -> rounds = Integer.parseInt(value(words, ++i));
                case "--out" -> out = Path.of(value(words, ++i));
                case "all" -> parts.addAll(ALL);
                default -> parts.add(part(words[i]));
            }
        }
        return new Settings(
                parts.isEmpty() ? ALL : parts.stream().distinct().toList(),
                quick,
                simulator,
                rounds > 0 ? rounds : quick ? 1 : ROUNDS,
                out);
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
