package dev.torpor.mps;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The log of the control daemon. */
final class ControlLog {
    private static final int LINES = 3;
    private static final int LONGEST = 500;

    private ControlLog() {}

    static Path file(Path folder) {
        return folder.resolve("control.log");
    }

    /** How it ends, for a sentence. */
    static String end(Path folder) {
        Path file = file(folder);
        try {
            List<String> lines = Files.readString(file, StandardCharsets.ISO_8859_1)
                    .strip()
                    .lines()
                    .toList();
            String end = String.join(" | ", lines.subList(Math.max(0, lines.size() - LINES), lines.size()));
            String printable = end.replaceAll("\\p{Cntrl}", "?");
            return printable.isEmpty()
                    ? file + " is empty"
                    : file + " ends with: " + printable.substring(Math.max(0, printable.length() - LONGEST));
        } catch (IOException e) {
            return file + " cannot be read";
        }
    }
}
