package dev.torpor.examples.cli;

import java.util.regex.Pattern;

/** Words as a shell reads them. */
final class ShellWord {
    private static final Pattern PLAIN = Pattern.compile("[\\p{Alnum}_@%+=:,./-]+");

    private ShellWord() {}

    /** The word itself, or quoted where a shell would change it. */
    static String of(String text) {
        return PLAIN.matcher(text).matches() ? text : quoted(text);
    }

    static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }
}
