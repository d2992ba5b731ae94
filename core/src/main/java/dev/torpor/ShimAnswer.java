package dev.torpor;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One line of the shim's, as {@code docs/parking.md} has them: {@code ok NAME=VALUE...} or {@code error CODE SENTENCE}.
 *
 * @param code empty for a success
 * @param sentence of an error
 * @param values of a success, in their order
 */
record ShimAnswer(String code, String sentence, Map<String, String> values) {
    private static final Pattern OK = Pattern.compile("ok((?: +[a-z][a-z0-9_]*=[^ ]*)*) *");
    private static final Pattern ERROR = Pattern.compile("error ([a-z][a-z-]*)(?: +(.*))?");
    private static final Pattern MISSING = Pattern.compile("missing=(\\d{1,18})\\b *(.*)");
    private static final Pattern NUMBER = Pattern.compile("\\d{1,18}");
    private static final Pattern SECONDS = Pattern.compile("\\d{1,9}(\\.\\d{1,9})?");

    /** @return null if the line is no answer */
    static @Nullable ShimAnswer parse(String line) {
        Matcher error = ERROR.matcher(line);
        if (error.matches()) {
            String sentence = error.group(2);
            return new ShimAnswer(error.group(1), sentence == null ? "" : sentence.strip(), Map.of());
        }
        Matcher ok = OK.matcher(line);
        return ok.matches() ? new ShimAnswer("", "", values(ok.group(1))) : null;
    }

    private static Map<String, String> values(String words) {
        Map<String, String> values = new LinkedHashMap<>();
        for (String word : words.strip().split(" +")) {
            int equals = word.indexOf('=');
            if (equals > 0) {
                values.put(word.substring(0, equals), word.substring(equals + 1));
            }
        }
        return Collections.unmodifiableMap(values);
    }

    boolean ok() {
        return code.isEmpty();
    }

    /** Empty if there is no such value, or it is no whole number from 0. */
    OptionalLong number(String name) {
        String value = values.get(name);
        return value != null && NUMBER.matcher(value).matches()
                ? OptionalLong.of(Long.parseLong(value))
                : OptionalLong.empty();
    }

    /** In nanoseconds; empty if there is no such value, or it is no time. */
    OptionalLong nanos(String name) {
        String value = values.get(name);
        return value != null && SECONDS.matcher(value).matches()
                ? OptionalLong.of(Math.round(Double.parseDouble(value) * 1e9))
                : OptionalLong.empty();
    }

    /** How much device memory lacks, in bytes; empty unless the sentence begins with it. */
    OptionalLong missing() {
        Matcher missing = MISSING.matcher(sentence);
        return missing.matches() ? OptionalLong.of(Long.parseLong(missing.group(1))) : OptionalLong.empty();
    }

    /** The sentence, without the number that it may begin with, and without the stop at its end. */
    String words() {
        Matcher missing = MISSING.matcher(sentence);
        String words = missing.matches() ? missing.group(2) : sentence;
        return words.endsWith(".") ? words.substring(0, words.length() - 1) : words;
    }
}
