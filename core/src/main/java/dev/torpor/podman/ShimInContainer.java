package dev.torpor.podman;

import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The shim, offered to a container that is to be started. */
final class ShimInContainer {
    /** Where it is inside. */
    static final String LIBRARY = "/opt/torpor/libtorpor.so";

    private ShimInContainer() {}

    static List<String> arguments(Shim shim, ShimOptions options) {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("LD_PRELOAD", LIBRARY);
        environment.putAll(options.environment());
        environment.putAll(options.leanEnvironment());
        List<String> arguments = new ArrayList<>(
                List.of("--mount", "type=bind,source=" + source(shim) + ",destination=" + LIBRARY + ",readonly"));
        environment.forEach((name, value) -> arguments.addAll(List.of("--env", name + "=" + value)));
        return List.copyOf(arguments);
    }

    /** No link: a bind mount whose source is one can be dumped, and then not restored. */
    private static String source(Shim shim) {
        String source;
        try {
            Path file = shim.library().toRealPath();
            source = file.toString();
        } catch (IOException e) {
            throw new TorporException(Problem.NO_SHIM, shim.library() + " cannot be read: " + IoReason.of(e) + ".");
        }
        if (source.indexOf(',') >= 0) {
            throw new IllegalArgumentException(
                    source
                            + " cannot be mounted, since podman separates what it is told by commas: put the library elsewhere");
        }
        return source;
    }
}
