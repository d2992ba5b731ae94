package dev.torpor.criu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What this process may do (capabilities(7)), as far as CRIU needs it. */
final class Capabilities {
    private static final int SYS_PTRACE = 19;
    private static final int SYS_ADMIN = 21;
    private static final int CHECKPOINT_RESTORE = 40;
    private static final String EFFECTIVE = "CapEff:";

    private Capabilities() {}

    /** A sentence, empty if nothing is lacking. */
    static String lacking() {
        return lacking(effective());
    }

    static String lacking(long effective) {
        List<String> lacking = new ArrayList<>();
        if (!has(effective, SYS_ADMIN) && !has(effective, CHECKPOINT_RESTORE)) {
            lacking.add("CAP_SYS_ADMIN (or CAP_CHECKPOINT_RESTORE)");
        }
        if (!has(effective, SYS_PTRACE)) {
            lacking.add("CAP_SYS_PTRACE");
        }
        return lacking.isEmpty()
                ? ""
                : "This process lacks " + String.join(" and ", lacking) + ", which CRIU needs: run it as root.";
    }

    private static boolean has(long effective, int capability) {
        return (effective >> capability & 1) == 1;
    }

    /** All of them if that cannot be read, so that nobody is told what is not known. */
    private static long effective() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith(EFFECTIVE)) {
                    return Long.parseUnsignedLong(
                            line.substring(EFFECTIVE.length()).strip(), 16);
                }
            }
            return -1;
        } catch (IOException e) {
            return -1;
        }
    }
}
