package dev.torpor.natives;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** What {@code /proc/self/mountinfo} tells (proc(5)). */
final class Mounts {
    private static final int POINT = 4; // fields of a line
    private static final int OPTIONS = 5;

    private final String mountinfo;

    Mounts(String mountinfo) {
        this.mountinfo = mountinfo;
    }

    static Mounts ofThisProcess() {
        try {
            return new Mounts(Files.readString(Path.of("/proc/self/mountinfo")));
        } catch (IOException e) {
            return new Mounts("");
        }
    }

    /** The mount point that a path is under, if no program there may be run; else null. */
    @Nullable
    String noexec(Path real) {
        String found = "";
        boolean noexec = false;
        for (String line : mountinfo.split("\n")) {
            String[] fields = line.split(" ");
            if (fields.length > OPTIONS) {
                String point = unescaped(fields[POINT]);
                // Of mounts on one point, the last one covers the others.
                if (point.length() >= found.length() && real.startsWith(point)) {
                    found = point;
                    noexec = ("," + fields[OPTIONS] + ",").contains(",noexec,");
                }
            }
        }
        return noexec ? found : null;
    }

    private static String unescaped(String path) {
        return path.indexOf('\\') < 0
                ? path
                : path.replace("\\040", " ")
                        .replace("\\011", "\t")
                        .replace("\\012", "\n")
                        .replace("\\134", "\\");
    }
}
