package dev.torpor.tools;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The directory in which the shim of a process has its control socket, and the socket's name there. The directory is {@code TORPOR_DIR}
 * if that is an absolute path, or else the first that the shim could trust: {@code torpor} in {@code XDG_RUNTIME_DIR} or in
 * {@code /run/user/UID}, {@code /tmp/torpor-UID}, {@code /tmp/torpor-UID-1} and so on. The shim's own rule is {@code socket_file.c}.
 */
public final class SocketFolder {
    private static final String VARIABLE = "TORPOR_DIR";
    private static final String RUNTIME = "XDG_RUNTIME_DIR";
    private static final String BELOW = "torpor";
    private static final int MOST_OTHERS = 7;

    private SocketFolder() {}

    /**
     * The directories in which the socket of a process may be, by the environment that it was started with and by the user that it sees
     * itself as; the likeliest first.
     *
     * @throws InvalidPathException if a name cannot be written in the character set of this Java
     */
    public static List<Path> candidates(ProcFs proc, long pid) {
        return candidates(proc.environment(pid, VARIABLE), proc.environment(pid, RUNTIME), proc.innermostUser(pid));
    }

    /** The directories by the values of the two variables, or null where they are not set, and by the user's number. */
    static List<Path> candidates(@Nullable String value, @Nullable String runtime, long user) {
        if (value != null && value.startsWith("/")) {
            return List.of(Path.of(value));
        }
        List<Path> folders = new ArrayList<>();
        if (runtime != null && runtime.startsWith("/")) {
            folders.add(Path.of(runtime, BELOW));
        }
        folders.add(Path.of("/run/user/" + user, BELOW));
        folders.add(usual(user));
        for (int i = 1; i <= MOST_OTHERS; i++) {
            folders.add(Path.of(usual(user) + "-" + i));
        }
        return folders;
    }

    private static Path usual(long user) {
        return Path.of("/tmp/torpor-" + user);
    }

    /** The names that the socket may have there: with the pid namespace where a process of another one has the first name. */
    public static List<String> names(ProcFs proc, long pid) {
        long inner = proc.innermostPid(pid);
        long namespace = proc.pidNamespace(pid);
        String usual = inner + ".sock";
        return namespace < 0 ? List.of(usual) : List.of(inner + "-" + namespace + ".sock", usual);
    }

    /**
     * The directory that a process uses: the first candidate in which its socket is, or the usual one if there is none.
     *
     * @throws InvalidPathException if a name cannot be written in the character set of this Java
     */
    public static Path of(ProcFs proc, long pid) {
        List<Path> candidates = candidates(proc, pid);
        for (Path candidate : candidates) {
            for (String name : names(proc, pid)) {
                Path seen = Path.of(proc.file(pid, "root") + candidate.toString(), name);
                if (Files.exists(seen, LinkOption.NOFOLLOW_LINKS)) {
                    return candidate;
                }
            }
        }
        return candidates.size() == 1 ? candidates.get(0) : usual(proc.innermostUser(pid));
    }
}
