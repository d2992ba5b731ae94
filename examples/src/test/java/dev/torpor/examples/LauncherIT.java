package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher as a process of its own. */
class LauncherIT {
    private static final Path LAUNCHER = Path.of(System.getProperty("torpor.test.launcher", "target/torpor"));

    @TempDir
    private Path directory = Path.of("");

    private Run torpor(Path launcher, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(launcher.toString()));
        command.addAll(List.of(arguments));
        return Run.of(directory, command);
    }

    @Test
    void runsFromAnywhereThroughALinkWithABlank() throws Exception {
        Path link = Files.createSymbolicLink(
                Files.createDirectory(directory.resolve("my programs")).resolve("torpor link"), LAUNCHER);
        try (Target target = Target.start("--memory", "8M")) {
            String pid = Integer.toString(target.pid());
            Run down = torpor(link, "suspend", pid);
            assertThat(down.out()).as(down.toString()).endsWith("; checkpointed\n");
            assertThat(torpor(link, "resume", pid, "--json").out()).startsWith("{\"operation\":\"resume\"");
            target.assertMemoryIntact();
        } finally {
            Files.delete(link);
        }
    }

    @Test
    void runsInAPlaceWithABlank() throws Exception {
        Path place = directory.resolve("a place");
        copy(LAUNCHER.resolveSibling("lib"), place.resolve("lib"));
        Files.copy(LAUNCHER, place.resolve("torpor"));
        Run version = torpor(place.resolve("torpor"), "--version");
        assertThat(version.out()).as(version.toString()).startsWith("torpor 0.");
        assertThat(version.err()).isEmpty();
    }

    private static void copy(Path from, Path to) throws Exception {
        Files.createDirectories(to);
        try (var files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }

    @Test
    void aSpoiltCacheIsIgnoredInSilence() throws Exception {
        Path place = directory.resolve("spoilt");
        copy(LAUNCHER.resolveSibling("lib"), place.resolve("lib"));
        Files.copy(LAUNCHER, place.resolve("torpor"));
        Files.writeString(place.resolve("lib/torpor.aot"), "spoilt");
        Run ps = torpor(place.resolve("torpor"), "ps", "--json");
        assertThat(ps.code()).isZero();
        assertThat(ps.out()).startsWith("[");
        assertThat(ps.err()).isEmpty();
    }

    @Test
    void olderJavaTakesTheOtherBinding() throws Exception {
        String home = System.getProperty("torpor.test.other.java", System.getProperty("java.home"));
        Run run = Run.of(
                directory,
                List.of(
                        home + "/bin/java",
                        "-jar",
                        LAUNCHER.resolveSibling("lib/torpor.jar").toString(),
                        "ps",
                        "--json"));
        assertThat(run.code()).as(run.toString()).isZero();
        assertThat(run.out()).startsWith("[");
    }

    @Test
    void exitCodesArriveAtTheShell() throws Exception {
        Run run = torpor(LAUNCHER, "suspend", "4194305");
        assertThat(run.code()).isEqualTo(4);
        assertThat(run.err()).startsWith("torpor: There is no process 4194305").hasLineCount(1);
    }
}
