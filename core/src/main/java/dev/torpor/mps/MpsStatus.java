package dev.torpor.mps;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a pipe folder tells of its control daemon. The daemon writes its process id into a file there, and removes that when it ends;
 * its control pipe stays behind. Seen from the pid namespace of the caller, which must be the daemon's.
 *
 * @param pid the daemon's process id; empty unless it lives
 * @param reason what was found, for a sentence, such as {@code control daemon 812 runs at /tmp/nvidia-mps}
 */
public record MpsStatus(State state, OptionalLong pid, String reason) {
    static final String PID_FILE = ControlProgram.NAME + ".pid";
    static final String CONTROL = "control";

    private static final int LONGEST = 32;
    private static final Pattern PID = Pattern.compile("[1-9]\\d{0,6}"); // PID_MAX_LIMIT is 4194304

    /** Whether there is a daemon. */
    public enum State {
        /** There is none, or it has ended in an orderly way. */
        ABSENT,
        /** It has ended without removing the file with its process id. Another one can be started. */
        STALE,
        /** It cannot be talked to: its pipe is gone, or the folder may not be read by this user. */
        UNREACHABLE,
        /** It lives, and its control pipe is there. */
        RUNNING;

        /** In lower case. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Whether the daemon lives, and can be talked to. */
    public boolean running() {
        return state == State.RUNNING;
    }

    static MpsStatus of(Path pipe) {
        Path file = pipe.resolve(PID_FILE);
        String text;
        try {
            if (!Files.readAttributes(file, BasicFileAttributes.class).isRegularFile()) {
                return without(State.STALE, file + " is no regular file"); // a pipe would have to be waited for
            }
            text = start(file).strip();
        } catch (AccessDeniedException e) {
            return without(State.UNREACHABLE, file + " may not be read by this user");
        } catch (IOException e) {
            return without(State.ABSENT, "there is no control daemon at " + pipe);
        }
        if (!PID.matcher(text).matches()) {
            return without(State.STALE, file + " holds no process id");
        }
        return of(pipe, file, Long.parseLong(text));
    }

    private static String start(Path file) throws IOException {
        try (InputStream from = Files.newInputStream(file)) {
            return new String(from.readNBytes(LONGEST), StandardCharsets.ISO_8859_1);
        }
    }

    private static MpsStatus of(Path pipe, Path file, long pid) {
        String program = program(pid);
        if (program == null) {
            return without(State.STALE, file + " names process " + pid + ", which has ended");
        }
        if (!program.equals(ControlProgram.NAME)) {
            return without(
                    State.STALE, file + " names process " + pid + ", which is another program (" + program + ")");
        }
        return Files.exists(pipe.resolve(CONTROL))
                ? new MpsStatus(State.RUNNING, OptionalLong.of(pid), "control daemon " + pid + " runs at " + pipe)
                : new MpsStatus(
                        State.UNREACHABLE,
                        OptionalLong.of(pid),
                        "control daemon " + pid + " lives, but its pipe " + pipe.resolve(CONTROL) + " is gone");
    }

    private static MpsStatus without(State state, String reason) {
        return new MpsStatus(state, OptionalLong.empty(), reason);
    }

    /** Whether this daemon lives, whatever has become of its files. */
    static boolean lives(long pid) {
        return ControlProgram.NAME.equals(program(pid));
    }

    /** The file name of the program that a process runs, as its command line tells everybody; null if it has ended. */
    private static @Nullable String program(long pid) {
        try {
            String line =
                    Files.readString(Path.of("/proc", Long.toString(pid), "cmdline"), StandardCharsets.ISO_8859_1);
            String word = line.substring(0, Math.max(0, line.indexOf('\0')));
            return word.isEmpty() ? null : word.substring(word.lastIndexOf('/') + 1); // a zombie has no words
        } catch (IOException e) {
            return null;
        }
    }
}
