package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.natives.NativeLibrary;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Where {@code torpor-target} is. */
public final class TargetProgram {
    private static final String NAME = "torpor-target";

    private TargetProgram() {}

    /** Beside the native libraries, beside the command line, or where the build puts it; empty if nowhere. */
    public static Optional<Path> find() {
        List<Path> places = new ArrayList<>();
        String natives = System.getProperty(NativeLibrary.DIRECTORY);
        if (natives != null) {
            places.add(Path.of(natives, "programs", NAME));
        }
        places.add(jar().resolveSibling(NAME));
        places.add(jar().resolve("../..").resolve(NAME)); // the launcher is above the folder of the jars
        places.add(jar().resolve("../../../../native/target/programs").resolve(NAME)); // as the build leaves them
        places.add(Path.of("native/target/programs", NAME));
        return places.stream()
                .map(place -> place.toAbsolutePath().normalize())
                .filter(Files::isExecutable)
                .findFirst();
    }

    private static Path jar() {
        try {
            return Path.of(TargetProgram.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** For where it is needed. */
    public static TorporException missing() {
        return new TorporException(
                Problem.TOOL_MISSING,
                "There is no " + NAME
                        + " beside torpor or in native/target/programs: name it with --target, or a command"
                        + " of yours behind --.");
    }
}
