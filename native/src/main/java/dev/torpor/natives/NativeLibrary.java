package dev.torpor.natives;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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
        return directory == null ? copy(fileName) : within(directory, fileName);
    }

    private static Path within(String directory, String fileName) {
        Path file = Path.of(directory, fileName).toAbsolutePath();
        if (!Files.isRegularFile(file)) {
            throw new UnsatisfiedLinkError(
                    "no " + fileName + " in " + directory + ", which the system property " + DIRECTORY + " names");
        }
        return file;
    }

    private static Path copy(String fileName) {
        try {
            byte[] content = resource(fileName);
            String id = new String(resource(fileName + ".id"), StandardCharsets.US_ASCII).strip();
            String shortId = id.substring(0, id.length() - DIGEST_CHARACTERS + SHORT_DIGEST);
            Extraction extraction = new Extraction(candidates(), Mounts.ofThisProcess(), Extraction.user());
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
