package dev.torpor.snapshot;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;

/**
 * The program that CRIU runs when all images are written and before the processes end: it gives the manifest its name. So nothing
 * depends on the caller, who may have been killed; and where it fails, CRIU lets the processes go on.
 */
final class Finish {
    private static final Duration LIMIT = Duration.ofSeconds(10);

    private Finish() {}

    static Path script(Folder folder) {
        Path script = folder.images().resolve("finish");
        String why;
        try {
            Files.writeString(script, text(folder));
            Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
            Command.Ended ended =
                    Command.of(List.of(script.toString())).run(LIMIT); // at no stage of CRIU it does nothing
            if (ended.good()) {
                return script;
            }
            why = ended.lastWords();
        } catch (IOException e) {
            why = e.toString();
        } catch (TorporException e) { // where no program may be run
            why = String.valueOf(e.getMessage());
        }
        throw cannot(script, why);
    }

    private static TorporException cannot(Path script, String why) {
        return new TorporException(
                Problem.SNAPSHOT,
                "The program " + script + " cannot be made or run (" + why
                        + "): name a folder where programs may be run. The process was not touched.");
    }

    private static String text(Folder folder) {
        return "#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" != post-dump ] || exec mv -- " + quoted(folder.partial()) + " "
                + quoted(folder.manifest()) + "\n";
    }

    private static String quoted(Path path) {
        return "'" + path.toString().replace("'", "'\\''") + "'";
    }
}
