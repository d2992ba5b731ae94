package dev.torpor.snapshot;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The links that CRIU makes for files whose name is gone while other links of them are left, as POSIX semaphores have them
 * ({@code --link-remap}). CRIU takes them away when the processes are left running, and at the first restore otherwise, so that its images
 * can be restored once or never. The snapshot has a copy of each, made while the processes stand still, and puts it back for each load.
 *
 * @param directories where such files of the processes are
 * @param others links that were there before, of other dumps
 */
record RemappedLinks(Set<Path> directories, Set<Path> others) {
    static final String LINK = "link_remap.";
    static final String NAMES = ".names";
    private static final String DELETED = " (deleted)";
    private static final int PATH = 5; // the field of /proc/PID/maps

    static RemappedLinks none() {
        return new RemappedLinks(Set.of(), Set.of());
    }

    /** Before a dump. */
    static RemappedLinks of(Tree tree, CriuDump dump) {
        if (!dump.remapsLinks()) {
            return none();
        }
        Set<Path> directories = new TreeSet<>();
        for (long pid : tree.pids()) {
            deleted(pid)
                    .map(Path::getParent)
                    .filter(Objects::nonNull)
                    .filter(Files::isDirectory)
                    .forEach(directories::add);
        }
        Set<Path> others = new TreeSet<>();
        directories.forEach(directory -> others.addAll(linksIn(directory)));
        return new RemappedLinks(directories, others);
    }

    /** Files that a process has mapped or open, and whose name is gone. */
    private static Stream<Path> deleted(long pid) {
        List<String> files = new ArrayList<>();
        String maps = Host.PROC.maps(pid);
        for (String line : (maps == null ? "" : maps).lines().toList()) {
            String[] fields = line.split(" +", PATH + 1);
            files.add(fields.length > PATH ? fields[PATH] : "");
        }
        try (DirectoryStream<Path> open = Files.newDirectoryStream(Host.PROC.file(pid, "fd"))) {
            for (Path one : open) {
                files.add(Files.readSymbolicLink(one).toString());
            }
        } catch (IOException e) {
            return paths(files); // it has ended, or closed one meanwhile
        }
        return paths(files);
    }

    private static Stream<Path> paths(List<String> files) {
        return files.stream()
                .filter(file -> file.startsWith("/") && file.endsWith(DELETED))
                .map(file -> Path.of(file.substring(0, file.length() - DELETED.length())));
    }

    private static List<Path> linksIn(Path directory) {
        List<Path> links = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(directory, LINK + "*")) {
            found.forEach(links::add);
        } catch (IOException e) {
            return links;
        }
        return links;
    }

    /** The lines of a script that makes the copies, while CRIU has the processes stopped and its links are there. */
    String script(Folder folder) {
        StringBuilder script = new StringBuilder();
        for (Path directory : directories) {
            String from = Finish.quoted(directory);
            script.append("for link in ").append(from).append('/').append(LINK).append("*; do\n");
            if (!others.isEmpty()) {
                script.append("  case $link in ")
                        .append(String.join(
                                "|", others.stream().map(Finish::quoted).toList()))
                        .append(") continue ;; esac\n");
            }
            script.append("  [ -f \"$link\" ] || continue\n  copy=")
                    .append(Finish.quoted(folder.links()))
                    .append("/'")
                    .append(encoded(directory + "/"))
                    .append("'\"${link##*/}\"\n  cp -p -- \"$link\" \"$copy\" || exit 1\n  rm -f -- \"$copy\"")
                    .append(NAMES)
                    .append("\n")
                    .append("  for name in ")
                    .append(from)
                    .append("/*; do\n    case $name in */")
                    .append(LINK)
                    .append(
                            "*) continue ;; esac\n    [ ! \"$name\" -ef \"$link\" ] || printf '%s\\n' \"$name\" >> \"$copy\"")
                    .append(NAMES)
                    .append("\n  done\ndone\n");
        }
        return script.toString();
    }

    /** A path as the name of a file. */
    static String encoded(String path) {
        return path.replace("%", "%25").replace("/", "%2F").replace("'", "%27");
    }

    static String decoded(String name) {
        return name.replace("%27", "'").replace("%2F", "/").replace("%25", "%");
    }

    /**
     * After a dump: makes sure that there is a copy of each link that the images need, and removes the links that CRIU has left for a restore of
     * its own, which would be in the way of the next dump.
     *
     * @throws TorporException {@link Problem#SNAPSHOT} if there is none, so that the snapshot could never be loaded
     */
    void collect(Folder folder) {
        for (Path link : Criu.remappedLinksOf(folder.images())) {
            Path copy = folder.links().resolve(encoded(link.toString()));
            try {
                if (!Files.exists(copy)) {
                    Files.copy(link, copy, StandardCopyOption.COPY_ATTRIBUTES);
                }
                Files.deleteIfExists(link);
            } catch (IOException e) {
                throw new TorporException(
                        Problem.SNAPSHOT,
                        "The file " + link
                                + ", which CRIU has made for one whose name is gone, cannot be kept for a load ("
                                + IoReason.of(e)
                                + "): save again.");
            }
        }
    }
}
