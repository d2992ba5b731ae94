package dev.torpor.criu;

import dev.torpor.tools.Command.Ended;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** A CRIU that failed or was killed; the message goes on behind "CRIU could not dump process 4711". */
final class CriuTrouble extends Exception {
    private static final long serialVersionUID = 1;

    CriuTrouble(Path log, Ended ended, Duration limit, boolean breakpoints) {
        super(ended.inTime() ? ": " + reason(log, ended) : late(log, limit, breakpoints));
    }

    private static String reason(Path log, Ended ended) {
        return CriuLog.of(log).and(ended.errors() + ended.output()).sentence() + where(log);
    }

    private static String late(Path log, Duration limit, boolean breakpoints) {
        return " within " + limit.toMillis() / 1000.0 + " s, and was killed: give it more time"
                + (breakpoints
                        ? ", or set the variable CRIU_FAULT to 130 if hardware breakpoints do not work here, which makes CRIU hang."
                        : ".")
                + where(log);
    }

    private static String where(Path log) {
        return Files.exists(log) ? " Its log is " + log + "." : "";
    }
}
