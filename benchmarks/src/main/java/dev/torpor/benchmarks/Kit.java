package dev.torpor.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Where the files are that the benchmarks need; properties name other places than the build's own. */
final class Kit {
    private Kit() {}

    private static Path directory(String property, String otherwise) {
        return Path.of(System.getProperty(property, otherwise)).toAbsolutePath().normalize();
    }

    /** What the module native has built. */
    static Path natives() {
        return directory("torpor.bench.native", "native/target");
    }

    static Path program(String name) {
        return there(natives().resolve("programs").resolve(name));
    }

    /** A path of the shim that LD_PRELOAD can hold. */
    static Path shim() {
        Path library = there(natives().resolve("libtorpor.so"));
        return library.toString().matches("[^ :$]*") ? library : linked(library);
    }

    private static Path linked(Path library) {
        try {
            Path directory = Files.createTempDirectory("torpor-shim-");
            directory.toFile().deleteOnExit();
            Path link = Files.createSymbolicLink(directory.resolve("libtorpor.so"), library);
            link.toFile().deleteOnExit();
            return link;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Path simulator() {
        return there(natives().resolve("simulator/libcuda.so.1"));
    }

    /** What this module has built: the C program {@code start}, and the stand-in for libcudart. */
    static Path own() {
        return there(directory("torpor.bench.own", "benchmarks/target/native"));
    }

    /** AOT caches, kept from run to run. */
    static Path caches() {
        return directory("torpor.bench.aot", "benchmarks/target/aot");
    }

    static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    /** Runs another of these programs in a JVM of its own. */
    static List<String> command(Class<?> program, Object... arguments) {
        List<String> words = new ArrayList<>(List.of(
                java(),
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-Dtorpor.native=" + natives(),
                "-Dtorpor.bench.native=" + natives(),
                "-cp",
                System.getProperty("java.class.path"),
                program.getName()));
        for (Object argument : arguments) {
            words.add(argument.toString());
        }
        return words;
    }

    private static Path there(Path path) {
        if (!Files.exists(path)) {
            throw new IllegalStateException(
                    path + " is missing: build the modules native and benchmarks, or run this from the kit");
        }
        return path;
    }

    /** A class path of the jars that hold these classes, and no others. */
    static String classPath(Class<?>... types) {
        List<String> jars = new ArrayList<>();
        for (Class<?> type : types) {
            try {
                jars.add(Path.of(type.getProtectionDomain()
                                .getCodeSource()
                                .getLocation()
                                .toURI())
                        .toString());
            } catch (URISyntaxException e) {
                throw new IllegalStateException(e);
            }
        }
        return String.join(":", jars);
    }

    /** The jar with native libraries that belongs to a jar: beside it, or beside it in the local repository. */
    static String withNatives(String jar) {
        return there(Path.of(jar.substring(0, jar.length() - ".jar".length()) + "-linux-x86_64.jar"))
                .toString();
    }

    static Path temporaryDirectory(String prefix) {
        try {
            return Files.createTempDirectory(prefix);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static void delete(Path directory) {
        try (var paths = Files.walk(directory)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
