package dev.torpor.examples.cli;

import dev.torpor.Shim;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which shim. */
final class ShimFile {
    @Option(names = "--shim", paramLabel = "FILE", description = "The shim library. Default: the one of this version.")
    private @Nullable Path library;

    /** For a container, which may be started again after a restart of the host. */
    Shim durableShim() {
        return library == null ? Shim.extractDurably() : Shim.at(library);
    }

    Shim shim() {
        return library == null ? Shim.extract() : Shim.at(library);
    }
}
