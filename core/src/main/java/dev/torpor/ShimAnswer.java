package dev.torpor;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * One line of the shim's, as {@code docs/parking.md} has them: {@code ok NAME=VALUE...} or {@code error CODE SENTENCE}.
 *
 * <p>The other side may be a process of another user. So a line is read once, from left to right, without recursion, and what goes into
 * messages is short and printable.
 *
 * @param code empty for a success
 * @param sentence of an error
 * @param values of a success, in their order
 */
record ShimAnswer(String code, String sentence, Map<String, String> values) {
    private static final String OK = "ok";
    private static final String ERROR = "error ";
    private static final String MISSING = "missing=";
    private static final int LONGEST_CODE = 40;
    private static final int LONGEST_SENTENCE = 1000; // the shim's own are shorter
    private static final int MOST_DIGITS = 18; // fit a long
    private static final int MOST_SECONDS_DIGITS = 9;

    /** @return null if the line is no answer */
    static @Nullable ShimAnswer parse(String line) {
        for (int i = 0; i < line.length(); i++) {
            if (Character.isISOControl(line.charAt(i))) {
                return null;
            }
        }
        return line.startsWith(ERROR) ? error(line) : success(line);
    }

    private static @Nullable ShimAnswer error(String line) {
        int end = endOfWord(line, ERROR.length());
        String code = line.substring(ERROR.length(), end);
        if (code.length() > LONGEST_CODE || !isName(code, '-', false)) {
            return null;
        }
        String sentence = line.substring(end).strip();
        return new ShimAnswer(
                code,
                sentence.length() > LONGEST_SENTENCE ? sentence.substring(0, LONGEST_SENTENCE) + "…" : sentence,
                Map.of());
    }

    private static @Nullable ShimAnswer success(String line) {
        if (!line.startsWith(OK) || endOfWord(line, 0) != OK.length()) {
            return null;
        }
        Map<String, String> values = new LinkedHashMap<>();
        for (int at = OK.length(); at < line.length(); ) {
            int end = endOfWord(line, at);
            if (end == at) {
                at++; // a blank
                continue;
            }
            int equals = line.indexOf('=', at);
            if (equals < 0 || equals >= end || !isName(line.substring(at, equals), '_', true)) {
                return null;
            }
            values.put(line.substring(at, equals), line.substring(equals + 1, end));
            at = end;
        }
        return new ShimAnswer("", "", Collections.unmodifiableMap(values));
    }

    private static int endOfWord(String line, int from) {
        int blank = line.indexOf(' ', from);
        return blank < 0 ? line.length() : blank;
    }

    /** Whether it begins with a letter, and goes on with letters, this joint, and digits if they are allowed. */
    private static boolean isName(String word, char joint, boolean digits) {
        for (int i = 0; i < word.length(); i++) {
            char c = word.charAt(i);
            boolean letter = c >= 'a' && c <= 'z';
            if (!letter && (i == 0 || (c != joint && !(digits && isDigit(c))))) {
                return false;
            }
        }
        return !word.isEmpty();
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    /** How many digits there are from here on. */
    private static int digits(String text, int from) {
        int end = from;
        while (end < text.length() && isDigit(text.charAt(end))) {
            end++;
        }
        return end - from;
    }

    boolean ok() {
        return code.isEmpty();
    }

    /** Empty if there is no such value, or it is no whole number from 0. */
    OptionalLong number(String name) {
        String value = values.get(name);
        return value != null && digits(value, 0) == value.length()
                ? number(value, value.length())
                : OptionalLong.empty();
    }

    private static OptionalLong number(String text, int digits) {
        return digits > 0 && digits <= MOST_DIGITS
                ? OptionalLong.of(Long.parseLong(text.substring(0, digits)))
                : OptionalLong.empty();
    }

    /** In nanoseconds; empty if there is no such value, or it is no time. */
    OptionalLong nanos(String name) {
        String value = values.get(name);
        return value != null && isSeconds(value)
                ? OptionalLong.of(Math.round(Double.parseDouble(value) * 1e9))
                : OptionalLong.empty();
    }

    /** Like {@code 12} or {@code 0.182211}. */
    private static boolean isSeconds(String value) {
        int whole = digits(value, 0);
        if (whole == 0 || whole > MOST_SECONDS_DIGITS) {
            return false;
        }
        if (whole == value.length()) {
            return true;
        }
        int part = digits(value, whole + 1);
        return value.charAt(whole) == '.'
                && part > 0
                && part <= MOST_SECONDS_DIGITS
                && whole + 1 + part == value.length();
    }

    /** How much device memory lacks, in bytes; empty unless the sentence begins with it. */
    OptionalLong missing() {
        int digits = missingDigits();
        return digits > 0 ? number(sentence.substring(MISSING.length()), digits) : OptionalLong.empty();
    }

    /** The digits of the number that the sentence begins with; 0 if it begins with none, or with none that fits a long. */
    private int missingDigits() {
        int digits = sentence.startsWith(MISSING) ? digits(sentence, MISSING.length()) : 0;
        int end = MISSING.length() + digits;
        boolean ends = end >= sentence.length() || !Character.isLetterOrDigit(sentence.charAt(end));
        return ends && digits <= MOST_DIGITS ? digits : 0;
    }

    /** The sentence, without the number that it may begin with, and without the stop at its end. */
    String words() {
        int digits = missingDigits();
        String words =
                digits > 0 ? sentence.substring(MISSING.length() + digits).strip() : sentence;
        return words.endsWith(".") ? words.substring(0, words.length() - 1) : words;
    }
}
