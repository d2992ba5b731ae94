package dev.torpor.snapshot;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The program that CRIU runs when all images are written and before the processes end: it makes the copies of {@link RemappedLinks}, and gives
 * the manifest its name. So nothing depends on the caller, who may have been killed; and where it fails, CRIU lets the processes go on. It
 * fails if one of them has started to use CUDA since it was looked at.
 */
final class Finish {
    private static final Duration LIMIT = Duration.ofSeconds(10);

    private Finish() {}

    static Path script(Folder folder, Tree tree, Optional<String> checkpointThread, RemappedLinks links) {
        Path script = folder.images().resolve("finish");
        String why;
        try {
            Files.writeString(script, text(folder, tree, checkpointThread, links));
            Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
            Command.Ended ended =
                    Command.of(List.of(script.toString())).run(LIMIT); // at no stage of CRIU it does nothing
            if (ended.good()) {
                return script;
            }
            why = ended.lastWords();
        } catch (IOException e) {
            why = IoReason.of(e);
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

    private static String text(Folder folder, Tree tree, Optional<String> checkpointThread, RemappedLinks links) {
        return "#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" = post-dump ] || exit 0\n" + lateness(tree, checkpointThread)
                + links.script(folder) + "exec mv -- " + quoted(folder.partial()) + " " + quoted(folder.manifest())
                + "\n";
    }

    /**
     * Lines that fail if a process of the tree uses CUDA and is not known to: it has a thread of the name that the driver's thread for
     * checkpoints has in one that does. Nothing is looked at where that thread has no name of its own.
     */
    private static String lateness(Tree tree, Optional<String> thread) {
        if (thread.isEmpty()) {
            return "";
        }
        String known =
                tree.gpu().stream().map(process -> Long.toString(process.pid())).collect(Collectors.joining(" "));
        return "late() {\n  case ' " + known
                + " ' in\n    *\" $1 \"*) ;;\n    *) for comm in /proc/$1/task/*/comm; do\n"
                + "      if read -r name 2> /dev/null < \"$comm\" && [ \"$name\" = " + quoted(thread.get())
                + " ]; then exit 1; fi\n"
                + "    done ;;\n  esac\n"
                + "  for children in /proc/$1/task/*/children; do\n    pids=; read -r pids 2> /dev/null < \"$children\"\n"
                + "    for pid in $pids; do late \"$pid\"; done\n  done\n}\nlate " + tree.root() + "\n";
    }

    static String quoted(Path path) {
        return quoted(path.toString());
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }
}
