package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Shim;
import dev.torpor.contract.Machine;
import dev.torpor.contract.Target;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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
            assertThat(torpor(link, "resume", pid, "--json").out()).contains("\"operation\":\"resume\"");
            target.assertMemoryIntact();
        } finally {
            Files.delete(link);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"C.UTF-8", "C", ""})
    void runsInAPlaceWithABlankAndAnUmlaut(String locale) throws Exception {
        Path place = place("a pläce $HOME");
        Path program =
                Files.copy(Path.of("/usr/bin/env"), place.resolve("ä program"), StandardCopyOption.COPY_ATTRIBUTES);
        List<String> locales = List.of("env", "-u", "LANG", "-u", "LC_CTYPE", "LC_ALL=" + locale);
        Run version = Run.of(directory, with(locales, place.resolve("torpor"), "--version"));
        assertThat(version.out()).as(version.toString()).startsWith("torpor 0.");
        assertThat(version.err()).isEmpty();
        Run run = Run.of(directory, with(locales, place.resolve("torpor"), "run", "--", program.toString()));
        assertThat(run.code()).as(run.toString()).isZero();
        assertThat(run.out()).contains("LD_PRELOAD=/").contains("LC_ALL=" + locale + "\n");
        assertThat(run.err()).isEmpty();
    }

    private static List<String> with(List<String> before, Path launcher, String... arguments) {
        List<String> command = new ArrayList<>(before);
        command.add(launcher.toString());
        command.addAll(List.of(arguments));
        return command;
    }

    /** A copy of the launcher, without the Java that a kit has beside it. */
    private Path place(String name) throws Exception {
        Path place = directory.resolve(name);
        copy(LAUNCHER.resolveSibling("lib"), place.resolve("lib"));
        Files.copy(LAUNCHER, place.resolve("torpor"), StandardCopyOption.COPY_ATTRIBUTES);
        return place;
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
        Path place = place("spoilt");
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
    void aContainersShimOutlivesARestartOfTheHost() throws Exception {
        Path data = Files.createDirectory(directory.resolve("data"));
        Run run = Run.of(
                directory,
                Map.of("XDG_DATA_HOME", data.toString()),
                List.of(LAUNCHER.toString(), "podman", "run-args"));
        assertThat(run.out())
                .as(run.toString())
                .startsWith("--mount type=bind,source=" + data.toRealPath() + "/torpor-");
        try (var files = Files.list(data)) {
            assertThat(files).hasSize(1);
        }
    }

    @Test
    void benchFindsItsTargetFromAnywhere() throws Exception {
        Run run = Run.of(
                directory,
                List.of(
                        LAUNCHER.toAbsolutePath().toString(),
                        "bench",
                        "--variants",
                        "alone",
                        "--rounds",
                        "1",
                        "--memory",
                        "4M"));
        assertThat(run.code()).as(run.toString()).isZero();
    }

    @Test
    void exitCodesArriveAtTheShell() throws Exception {
        Run run = torpor(LAUNCHER, "suspend", "4194305");
        assertThat(run.code()).isEqualTo(4);
        assertThat(run.err()).startsWith("torpor: There is no process 4194305").hasLineCount(1);
    }

    @Test
    void runBecomesTheCommandWithNothingInItsEnvironmentButTheShim() throws Exception {
        Run plain = Run.of(directory, List.of("env"));
        Run run = torpor(LAUNCHER, "run", "--log", "off", "--", "env");
        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isZero();
        List<String> more = new ArrayList<>(run.out().lines().toList());
        more.removeAll(plain.out().lines().toList());
        assertThat(more.stream().filter(line -> !line.matches("(_|SHLVL|PWD|OLDPWD)=.*")))
                .hasSize(2)
                .anyMatch(line -> line.matches("LD_PRELOAD=/.*/libtorpor-.*\\.so"))
                .contains("TORPOR_LOG=off");
        assertThat(run.out().lines())
                .hasSizeGreaterThanOrEqualTo((int) plain.out().lines().count());
    }

    @Test
    void argumentsAndStandardStreamsAreTheCommandsOwn() throws Exception {
        Process process = new ProcessBuilder(
                        LAUNCHER.toString(),
                        "run",
                        "--",
                        "sh",
                        "-c",
                        "cat; printf '<%s>' \"$@\" >&2; exit 7",
                        "sh",
                        "a b",
                        "",
                        "--",
                        "@c",
                        "*")
                .start();
        process.outputWriter().append("to the command").close();
        assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEqualTo("to the command");
        assertThat(new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEqualTo("<a b><><--><@c><*>");
        assertThat(process.waitFor()).isEqualTo(7);
    }

    @Test
    void theProcessThatWasStartedIsTheCommandAndSignalsEndIt() throws Exception {
        Process process = new ProcessBuilder(LAUNCHER.toString(), "run", "sh", "-c", "echo $$; read line").start();
        assertThat(process.inputReader().readLine()).isEqualTo(Long.toString(process.pid()));
        assertThat(Shim.of(process.pid()))
                .map(Shim.Loaded::version)
                .contains(Shim.extract().version());
        process.destroy();
        assertThat(process.waitFor()).isEqualTo(128 + 15);
    }

    @Test
    void whatCannotBeRunIsToldInOneSentence() throws Exception {
        Run missing = torpor(LAUNCHER, "run", "--", "no-such-program");
        assertThat(missing.code()).isEqualTo(127);
        assertThat(missing.out()).isEmpty();
        assertThat(missing.err())
                .startsWith("torpor: There is no program 'no-such-program'")
                .hasLineCount(1);
        Run usage = torpor(LAUNCHER, "run", "--streams", "99", "--json", "true");
        assertThat(usage.code()).isEqualTo(2);
        assertThat(usage.out()).startsWith("{\"error\":");
        Run help = torpor(LAUNCHER, "run", "--help");
        assertThat(help.code()).isZero();
        assertThat(help.out()).startsWith("Usage: torpor run");
        Run none = torpor(LAUNCHER, "--json", "run");
        assertThat(none.code()).isEqualTo(2);
        assertThat(none.out()).contains("Missing required parameter");
        Run noValue = torpor(LAUNCHER, "--library");
        assertThat(noValue.code()).isEqualTo(2);
        assertThat(noValue.err()).startsWith("torpor: ").hasLineCount(1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--json",
                "--trace",
                "--library libcuda.so.1",
                "--library=libcuda.so.1",
                "--provider jna --json",
            })
    void optionsOfTorporMayStandBeforeRun(String options) throws Exception {
        List<String> words = new ArrayList<>(List.of(options.split(" ")));
        words.addAll(List.of(
                "run", "--log", "off", "--", "sh", "-c", "printf %s \"$TORPOR_LOG<$1>\"; exit 9", "run", "a\n'b'"));
        Run run = torpor(LAUNCHER, words.toArray(new String[0]));
        assertThat(run).isEqualTo(new Run(9, "off<a\n'b'>", ""));
        words = new ArrayList<>(List.of(options.split(" ")));
        words.addAll(List.of("run", "--", "no-such-program"));
        assertThat(torpor(LAUNCHER, words.toArray(new String[0])).code()).isEqualTo(127);
    }

    @Test
    void theCacheIsTakenWhereTheBuildMadeIt() throws Exception {
        ProcessBuilder builder = new ProcessBuilder(LAUNCHER.toString(), "--version").redirectErrorStream(true);
        builder.environment().put("JAVA_TOOL_OPTIONS", "-XX:AOTMode=on"); // without the cache, the JVM ends at once
        Process process = builder.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isZero();
        assertThat(said).contains("torpor 0.");
    }

    @Test
    void aTargetThatWasRunThisWayIsSuspendedAndResumed() throws Exception {
        Path program = Machine.built("programs/torpor-target");
        ProcessBuilder builder = new ProcessBuilder(
                LAUNCHER.toString(), "run", "--start", "0", "--", program.toString(), "--memory", "64M");
        builder.environment().putAll(Machine.environment());
        Process process =
                builder.redirectError(directory.resolve("target").toFile()).start();
        String pid = Long.toString(process.pid());
        assertThat(process.inputReader().readLine()).startsWith("READY pid=" + pid + " ");
        assertThat(torpor(LAUNCHER, "suspend", pid).out()).endsWith("; checkpointed\n");
        assertThat(torpor(LAUNCHER, "ps", "--json").out())
                .contains("\"shim\":\"" + Shim.extract().version() + "\"");
        assertThat(torpor(LAUNCHER, "resume", pid).out()).endsWith("; running\n");
        process.outputWriter().append("check\nquit\n").close();
        assertThat(process.inputReader().readLine()).startsWith("OK words=");
        assertThat(process.waitFor()).isZero();
    }
}
