package dev.torpor.criu;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command.Ended;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@code criu --version} tells; the first two numbers decide. */
record CriuVersion(String text, int major, int minor) {
    /** The first that knows the vDSO of Linux 6.13 (checkpoint-restore/criu issue 2532). */
    static final String MINIMUM = "4.1";

    private static final Pattern LINE = Pattern.compile("(?m)^Version: ((\\d{1,6})\\.(\\d{1,6})\\S*)");

    static CriuVersion of(Path program, Ended ended) {
        Matcher line = LINE.matcher(ended.output());
        if (!ended.good() || !line.find()) {
            String words = ended.lastWords();
            throw new TorporException(
                    Problem.TOOL_MISSING,
                    program + " tells no version of CRIU" + (words.isEmpty() ? "" : " (" + words + ")")
                            + ": name a criu that works.");
        }
        CriuVersion version =
                new CriuVersion(line.group(1), Integer.parseInt(line.group(2)), Integer.parseInt(line.group(3)));
        if (!version.isAtLeast(4, 1)) {
            throw new TorporException(
                    Problem.TOOL_MISSING,
                    program + " is CRIU " + version + ", which fails on Linux 6.13 and later: install CRIU " + MINIMUM
                            + " or later, see docs/snapshots.md.");
        }
        return version;
    }

    /** Older ones take for granted that hardware breakpoints work. */
    boolean findsOutAboutBreakpoints() {
        return isAtLeast(4, 2);
    }

    private boolean isAtLeast(int wantedMajor, int wantedMinor) {
        return major > wantedMajor || (major == wantedMajor && minor >= wantedMinor);
    }

    @Override
    public String toString() {
        return text;
    }
}
