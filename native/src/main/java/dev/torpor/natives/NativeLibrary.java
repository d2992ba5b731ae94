package dev.torpor.natives;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries of this jar as files that a loader can map. A library is taken from the directory that the system
 * property {@value #DIRECTORY} names, or else copied once per process into a fresh temporary file that only its owner can
 * write, deleted at exit. Thread-safe.
 */
public final class NativeLibrary {
    /** System property: a directory that holds the libraries already, so that nothing is copied. */
    public static final String DIRECTORY = "torpor.native";

    private static final ConcurrentHashMap<String, Path> COPIES = new ConcurrentHashMap<>();

    private NativeLibrary() {}

    /**
     * Finds a library.
     *
     * @param fileName for example {@code libtorpor.so}
     * @return an absolute path
     * @throws UnsatisfiedLinkError if there is none for this platform, or it cannot be copied
     */
    public static Path file(String fileName) {
        @Nullable String directory = System.getProperty(DIRECTORY);
        return directory == null ? COPIES.computeIfAbsent(fileName, NativeLibrary::copy) : within(directory, fileName);
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
        String resource = "/META-INF/native/" + platform() + "/" + fileName;
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("torpor-native has no " + fileName + " for " + platform());
            }
            Path file = Files.createTempFile("torpor-", "-" + fileName);
            file.toFile().deleteOnExit();
            Files.write(file, in.readAllBytes()); // into the file that was made for its owner alone
            return file;
        } catch (IOException e) {
            throw new UnsatisfiedLinkError("cannot copy " + fileName + " into java.io.tmpdir, "
                    + System.getProperty("java.io.tmpdir") + ": " + e + "; let the system property " + DIRECTORY
                    + " name a directory that holds it");
        }
    }

    private static String platform() {
        String architecture = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        return System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-" + architecture;
    }
}
