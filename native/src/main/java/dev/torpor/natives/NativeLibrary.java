package dev.torpor.natives;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries of this jar as files that a loader can map. A library is taken from the directory that the system
 * property {@value #DIRECTORY} names, or else put into a folder {@code torpor-UID} that only its owner can use, under the first
 * of these where that can be done safely and programs may be run: what the system property {@value #TEMPORARY} names,
 * {@code $XDG_RUNTIME_DIR}, {@code java.io.tmpdir}, {@code /dev/shm}, {@code ~/.cache}. Its name there holds version and
 * content, so that all processes share it; it is compared byte for byte before every use, and never deleted, since programs
 * may have it loaded. Thread-safe, also between processes.
 */
public final class NativeLibrary {
    /** System property: a directory that holds the libraries already, so that nothing is copied. */
    public static final String DIRECTORY = "torpor.native";

    /** System property: the folder to try first. */
    public static final String TEMPORARY = "torpor.native.tmp";

    private static final int DIGEST_CHARACTERS = 64;
    private static final int SHORT_DIGEST = 12;

    private NativeLibrary() {}

    /**
     * Finds a library.
     *
     * @param fileName for example {@code libtorpor.so}
     * @return an absolute path
     * @throws UnsatisfiedLinkError if there is none for this platform, or no folder can take it; the message has the reason of
     *     each
     */
    public static Path file(String fileName) {
        @Nullable String directory = System.getProperty(DIRECTORY);
        return directory == null ? copy(fileName, candidates()) : within(directory, fileName);
    }

    /**
     * As {@link #file}, in a directory that outlives a restart of the host: under what the system property {@value #TEMPORARY} names,
     * {@code $XDG_DATA_HOME}, {@code /var/lib} for root, or {@code ~/.local/share}.
     *
     * @throws UnsatisfiedLinkError as {@link #file}
     */
    public static Path durableFile(String fileName) {
        @Nullable String directory = System.getProperty(DIRECTORY);
        return directory == null ? copy(fileName, durable()) : within(directory, fileName);
    }

    private static Path within(String directory, String fileName) {
        Path file = Path.of(directory, fileName).toAbsolutePath();
        if (!Files.isRegularFile(file)) {
            throw new UnsatisfiedLinkError(
                    "no " + fileName + " in " + directory + ", which the system property " + DIRECTORY + " names");
        }
        return file;
    }

    private static Path copy(String fileName, List<Path> places) {
        try {
            byte[] content = resource(fileName);
            String id = new String(resource(fileName + ".id"), StandardCharsets.US_ASCII).strip();
            String shortId = id.substring(0, id.length() - DIGEST_CHARACTERS + SHORT_DIGEST);
            Extraction extraction = new Extraction(places, Mounts.ofThisProcess(), Extraction.user());
            return extraction.place(fileName.replace(".so", "-" + shortId + ".so"), content);
        } catch (IOException e) {
            throw new UnsatisfiedLinkError("cannot copy " + fileName + ": " + Extraction.reason(e)
                    + "; let the system property " + DIRECTORY + " name a directory that holds it");
        }
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream in = NativeLibrary.class.getResourceAsStream("/META-INF/native/" + platform() + "/" + name)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("torpor-native has no " + name + " for " + platform());
            }
            return in.readAllBytes();
        }
    }

    private static List<Path> candidates() {
        List<Path> candidates = new ArrayList<>();
        add(candidates, System.getProperty(TEMPORARY), "");
        add(candidates, System.getenv("XDG_RUNTIME_DIR"), "");
        add(candidates, System.getProperty("java.io.tmpdir"), "");
        add(candidates, "/dev/shm", "");
        add(candidates, System.getProperty("user.home"), ".cache");
        return candidates;
    }

    private static List<Path> durable() {
        List<Path> places = new ArrayList<>();
        add(places, System.getProperty(TEMPORARY), "");
        add(places, System.getenv("XDG_DATA_HOME"), "");
        if ("root".equals(System.getProperty("user.name"))) {
            add(places, "/var/lib", "");
        }
        String home = System.getProperty("user.home");
        add(places, home, ".local/share");
        if (home != null) {
            makeDirectories(Path.of(home, ".local/share"));
        }
        return places;
    }

    /** As the XDG Base Directory Specification has it, for its user alone. */
    private static void makeDirectories(Path directory) {
        try {
            Files.createDirectories(
                    directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } catch (IOException | UnsupportedOperationException e) {
            return; // the extraction says what is wrong with it, if no other place will do
        }
    }

    private static void add(List<Path> candidates, @Nullable String folder, String below) {
        if (folder != null && !folder.isEmpty()) {
            candidates.add(Path.of(folder, below).toAbsolutePath());
        }
    }

    private static String platform() {
        String architecture = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        return System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-" + architecture;
    }
}
