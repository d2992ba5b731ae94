package dev.torpor.mps;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** The log of the control daemon. */
final class ControlLog {
    private static final int LINES = 3;
    private static final int LONGEST = 500;

    private ControlLog() {}

    /** How it ends, for a sentence. */
    static String end(Path folder) {
        Path file = folder.resolve("control.log");
        try {
            List<String> lines = tail(file).strip().lines().toList();
            String end = String.join(" | ", lines.subList(Math.max(0, lines.size() - LINES), lines.size()));
            return end.isEmpty() ? file + " is empty" : file + " ends with: " + end.replaceAll("\\p{Cntrl}", "?");
        } catch (IOException e) {
            return file + " cannot be read";
        }
    }

    private static String tail(Path file) throws IOException {
        try (RandomAccessFile log = new RandomAccessFile(file.toFile(), "r")) {
            log.seek(Math.max(0, log.length() - LONGEST));
            byte[] bytes = new byte[LONGEST];
            int length = Math.max(0, log.read(bytes));
            return new String(bytes, 0, length, StandardCharsets.ISO_8859_1);
        }
    }
}
