package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Looks for the shim among the files that a process has mapped. */
final class ShimScan {
    private static final String OWNER = "Torpor";
    private static final int VERSION = 1;

    private final ProcFs proc;

    ShimScan(ProcFs proc) {
        this.proc = proc;
    }

    /** The version of the shim in a file; null if it is none. */
    static @Nullable String version(Path library) throws IOException {
        return Files.isRegularFile(library) ? version(library, 0) : null;
    }

    private static @Nullable String version(Path file, long base) throws IOException {
        try (RandomAccessFile image = new RandomAccessFile(file.toFile(), "r")) {
            return new Elf(image, base).note(OWNER, VERSION);
        }
    }

    /** @throws TorporException {@link Problem#NO_SUCH_PROCESS}, {@link Problem#NO_PERMISSION} */
    Optional<Shim.Loaded> of(long pid) {
        long unused = Preflight.startTime(proc, pid);
        String maps = proc.maps(pid);
        if (maps == null) {
            throw denied(pid, "its mappings");
        }
        List<Mapping> mappings = Mapping.parse(maps);
        Optional<Shim.Loaded> named = find(pid, mappings, true);
        return named.isPresent() ? named : find(pid, mappings, false);
    }

    /** By the name first, since a process maps hundreds of files; then any that has code, since a file can have any name. */
    private Optional<Shim.Loaded> find(long pid, List<Mapping> mappings, boolean named) {
        for (Mapping mapping : mappings) {
            if (mapping.executable() && mapping.fileName().contains("torpor") == named) {
                String version = version(pid, mapping, named);
                if (version != null) {
                    return Optional.of(new Shim.Loaded(version, Path.of(mapping.path())));
                }
            }
        }
        return Optional.empty();
    }

    /** The file may have been replaced since it was loaded; the kernel keeps the one that is mapped, and so does the memory. */
    private @Nullable String version(long pid, Mapping mapping, boolean named) {
        try {
            Path file = Path.of(proc.file(pid, "root") + mapping.path());
            if (!mapping.deleted() && inode(file) == mapping.inode()) {
                return version(file);
            }
            Path kept = proc.file(pid, "map_files").resolve(mapping.range());
            if (Files.isRegularFile(kept)) { // as root sees it
                return version(kept);
            }
        } catch (IOException e) {
            // The memory remains.
        }
        try {
            return version(proc.file(pid, "mem"), mapping.address());
        } catch (IOException e) {
            if (named && proc.startTime(pid) >= 0) {
                throw denied(pid, mapping.path() + " has been replaced since, and what it has mapped");
            }
            return null;
        }
    }

    private static long inode(Path file) throws IOException {
        return Files.getAttribute(file, "unix:ino") instanceof Long inode ? inode : -1;
    }

    private TorporException denied(long pid, String what) {
        // It may have ended meanwhile.
        long unused = Preflight.startTime(proc, pid);
        return new TorporException(
                Problem.NO_PERMISSION,
                "Whether process " + pid + " carries the shim cannot be told, as " + what + " cannot be read. "
                        + Preflight.runAsItsUser(proc, pid));
    }
}
