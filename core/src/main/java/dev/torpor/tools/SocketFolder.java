package dev.torpor.tools;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The folder in which the shim of a process has its control socket: {@code TORPOR_DIR} if that is an absolute path, or else
 * {@code /tmp/torpor-UID}. The shim's own rule is {@code folder()} in {@code control.c}.
 */
public final class SocketFolder {
    private static final String VARIABLE = "TORPOR_DIR";

    private SocketFolder() {}

    /**
     * The folder of a process, by the environment that it was started with and by the user that it sees itself as.
     *
     * @throws InvalidPathException if the name cannot be written in the character set of this Java
     */
    public static Path of(ProcFs proc, long pid) {
        return named(proc.environment(pid, VARIABLE), proc.innermostUser(pid));
    }

    /** The folder by the value of {@code TORPOR_DIR}, or null where it is not set, and by the user's number. */
    static Path named(@Nullable String value, long user) {
        return Path.of(value != null && value.startsWith("/") ? value : "/tmp/torpor-" + user);
    }
}
