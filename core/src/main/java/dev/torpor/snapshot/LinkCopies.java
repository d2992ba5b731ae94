package dev.torpor.snapshot;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The copies of {@link RemappedLinks} in a snapshot, which CRIU needs in their places for each restore, and takes away at its end. */
final class LinkCopies {
    private static final Path SEMAPHORES = Path.of("/dev/shm");
    private static final String SEMAPHORE = "sem.";
    private static final int DEVICE = 3; // fields of /proc/PID/maps
    private static final int INODE = 4;

    private final List<Path> copies;
    private final List<Path> made = new ArrayList<>();

    private LinkCopies(List<Path> copies) {
        this.copies = copies;
    }

    /** Those of a snapshot; usually none. */
    static LinkCopies in(Folder folder) {
        List<Path> copies = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder.links(), "*" + RemappedLinks.LINK + "*")) {
            for (Path one : all) {
                if (!one.toString().endsWith(RemappedLinks.NAMES)) {
                    copies.add(one);
                }
            }
        } catch (IOException e) {
            return new LinkCopies(List.of()); // it has no such folder
        }
        return new LinkCopies(copies);
    }

    /**
     * Puts all of them in their places.
     *
     * @return what the caller should know besides
     * @throws TorporException {@link Problem#SNAPSHOT} if one cannot be put there; none is left then
     */
    List<String> putBack() {
        List<String> notes = new ArrayList<>();
        for (Path copy : copies) {
            Path place = Path.of(RemappedLinks.decoded(copy.getFileName().toString()));
            try {
                if (Files.exists(place)) {
                    checkSame(copy, place);
                } else {
                    put(copy, place).ifPresent(notes::add);
                }
            } catch (IOException e) {
                remove();
                throw new TorporException(
                        Problem.SNAPSHOT,
                        place + ", which CRIU needs for the load, cannot be made (" + IoReason.of(e)
                                + "). Nothing was started.");
            }
        }
        return notes;
    }

    /** One that a save, or a load, has left when it was killed. */
    private void checkSame(Path copy, Path place) throws IOException {
        if (Files.mismatch(copy, place) >= 0) {
            remove();
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "The file " + place
                            + " is another dump's, and CRIU needs one of its own there: restore that dump first, or"
                            + " remove the file. Nothing was started.");
        }
    }

    /**
     * A name that living processes use goes on to mean their file, which is then shared with them. Otherwise a semaphore's name shall mean
     * what the processes have: with its value of then. Other files are as they are now, as all are that CRIU leaves out of its images.
     */
    private Optional<String> put(Path copy, Path place) throws IOException {
        List<Path> names = names(copy);
        for (Path name : names) {
            if (Files.exists(name) && (!isSemaphore(name) || isMapped(name))) {
                Files.createLink(place, name);
                made.add(place);
                return isSemaphore(name)
                        ? Optional.of(
                                "The semaphore " + name + " is in use by other processes, and has its value of now.")
                        : Optional.empty();
            }
        }
        Files.copy(copy, place, StandardCopyOption.COPY_ATTRIBUTES);
        made.add(place);
        for (Path name : names) {
            Path next = place.resolveSibling(place.getFileName() + ".next");
            Files.deleteIfExists(next);
            Files.createLink(next, place);
            Files.move(next, name, StandardCopyOption.ATOMIC_MOVE);
        }
        return Optional.empty();
    }

    private static List<Path> names(Path copy) throws IOException {
        try {
            return Files.readAllLines(copy.resolveSibling(copy.getFileName() + RemappedLinks.NAMES)).stream()
                    .map(Path::of)
                    .toList();
        } catch (NoSuchFileException e) {
            return List.of();
        }
    }

    private static boolean isSemaphore(Path name) {
        return SEMAPHORES.equals(name.getParent())
                && name.getFileName().toString().startsWith(SEMAPHORE);
    }

    private static boolean isMapped(Path name) throws IOException {
        long device = ((Number) Files.getAttribute(name, "unix:dev")).longValue();
        String inode = Files.getAttribute(name, "unix:ino").toString();
        String hex = "%02x:%02x".formatted(device >> 8 & 0xfff, (device & 0xff) | (device >> 12 & 0xfff00));
        Set<String> found = new HashSet<>();
        for (long pid : Host.PROC.processes()) {
            String maps = Host.PROC.maps(pid);
            for (String line : (maps == null ? "" : maps).lines().toList()) {
                String[] fields = line.split(" +");
                if (fields.length > INODE && fields[DEVICE].equals(hex) && fields[INODE].equals(inode)) {
                    found.add(line);
                }
            }
        }
        return !found.isEmpty();
    }

    /** Those that a load has made, where CRIU has not taken them away. */
    void remove() {
        for (Path one : made) {
            try {
                Files.deleteIfExists(one);
            } catch (IOException e) {
                return; // the next load finds it there, and takes it
            }
        }
    }
}
