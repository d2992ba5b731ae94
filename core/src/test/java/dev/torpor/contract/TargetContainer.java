package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.torpor.podman.Podman;
import dev.torpor.tools.Command;
import dev.torpor.tools.Command.Ended;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * {@code torpor-target} in a container of podman's, on the simulator that the tests use. Closing it removes the container. The program
 * reads commands from a named pipe and answers into a file, in a folder that is mounted: so no end of a pipe is outside.
 */
public final class TargetContainer implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String MACHINE = "TORPOR_SIM_DIR";
    private static final List<String> LIBRARIES = List.of("libc.so.6", "libpthread.so.0", "libdl.so.2");

    /** Who runs the tests may not be allowed to raise the limits that podman asks for. */
    private static final List<String> MODEST =
            List.of("--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024");

    private static final String SCRIPT =
            "sleep 1000000 > /talk/in & exec /opt/torpor-target --memory 16M < /talk/in > /talk/out 2>&1";

    private final Podman podman;
    private final Path talk;
    private final String name;
    private int heard;

    private TargetContainer(Podman podman, Path talk, String name) {
        this.podman = podman;
        this.talk = talk;
        this.name = name;
    }

    /**
     * Starts one.
     *
     * @param folder an empty one
     * @param options of {@code podman run}, beside those that it needs
     */
    public static TargetContainer start(Path folder, List<String> options) {
        Podman podman = Programs.podman();
        String name = "torpor-test-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
        TargetContainer container = new TargetContainer(podman, folder.resolve("talk"), name);
        try {
            container.run(container.image(folder), options);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        String ready = container.hear();
        if (!ready.startsWith("READY pid=1 bytes=")) {
            container.close();
            throw new AssertionError("the target did not start: " + ready);
        }
        return container;
    }

    /** A container whose root file system is a plain folder cannot be imported. */
    private String image(Path folder) throws IOException {
        Path root = Files.createDirectory(folder.resolve("root"));
        fill(root);
        Path archive = folder.resolve("root.tar");
        good(Command.of(List.of("tar", "-cf", archive.toString(), "-C", root.toString(), ".")));
        return good(podman("import", "--quiet", archive.toString(), name))
                .output()
                .strip();
    }

    private static void fill(Path root) throws IOException {
        for (String directory : List.of("bin", "lib", "lib64", "opt", "tmp")) {
            Files.createDirectory(root.resolve(directory));
        }
        Files.copy(Programs.BUSYBOX, root.resolve("bin/busybox"), StandardCopyOption.COPY_ATTRIBUTES);
        for (String applet : List.of("sh", "sleep")) {
            Files.createSymbolicLink(root.resolve("bin").resolve(applet), Path.of("busybox"));
        }
        Path loader = mapped("ld-linux-x86-64.so.2");
        Files.copy(loader, root.resolve("lib64/ld-linux-x86-64.so.2"), StandardCopyOption.COPY_ATTRIBUTES);
        Path libc = mapped("libc.so.6");
        for (String library : LIBRARIES) {
            Files.copy(libc.resolveSibling(library), root.resolve("lib").resolve(library));
        }
        Path target = Machine.built("programs/torpor-target");
        Files.copy(target, root.resolve("opt/torpor-target"), StandardCopyOption.COPY_ATTRIBUTES);
        Files.copy(Machine.built("simulator/libcuda.so.1"), root.resolve("opt/libcuda.so.1"));
    }

    /** Where this JVM has it from. */
    private static Path mapped(String library) throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            String line = lines.filter(text -> text.endsWith("/" + library))
                    .findFirst()
                    .orElseThrow();
            return Path.of(line.substring(line.indexOf('/')));
        }
    }

    private void run(String image, List<String> options) throws IOException {
        Files.createDirectory(talk);
        good(Command.of(List.of("mkfifo", talk.resolve("in").toString())));
        List<String> words = new ArrayList<>(List.of("run", "--detach", "--name", name));
        words.addAll(List.of("--volume", talk.toRealPath() + ":/talk"));
        words.addAll(options);
        words.addAll(arguments(image, SCRIPT));
        good(podman(words.toArray(new String[0])));
    }

    /** What {@code podman run} needs for another container of the same image, whose shell runs a script. */
    public List<String> arguments(String script) {
        try {
            return arguments(name, script);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<String> arguments(String image, String script) throws IOException {
        List<String> words = new ArrayList<>(MODEST);
        words.addAll(List.of("--env", "TORPOR_LIBCUDA=/opt/libcuda.so.1", "--env", "LD_LIBRARY_PATH=/lib"));
        System.getenv().forEach((variable, value) -> {
            if (variable.startsWith("TORPOR_SIM_") && !variable.equals(MACHINE)) {
                words.addAll(List.of("--env", variable + "=" + value));
            }
        });
        Path machine = Path.of(System.getenv(MACHINE)).toRealPath();
        words.addAll(List.of("--volume", machine + ":/simulator", "--env", MACHINE + "=/simulator"));
        words.addAll(List.of(image, "/bin/sh", "-c", script));
        return words;
    }

    private Ended good(Command command) {
        Ended ended = command.run(PATIENCE);
        if (ended.good()) {
            return ended;
        }
        close();
        return Programs.without(
                Programs.PODMAN, "it cannot run a container here: " + command + ": " + ended.lastWords());
    }

    private static Command podman(String... arguments) {
        List<String> words = new ArrayList<>(List.of("podman", "--runtime", "runc"));
        words.addAll(List.of(arguments));
        return Command.of(words);
    }

    /** With a runtime that can checkpoint. */
    public Podman podman() {
        return podman;
    }

    /** Of the container, and of its image. */
    public String name() {
        return name;
    }

    /** Like {@code running} or {@code exited}. */
    public String status() {
        return podman("container", "inspect", "--format", "{{.State.Status}}", name)
                .run(PATIENCE)
                .output()
                .strip();
    }

    private String hear() {
        Path answers = talk.resolve("out");
        await().atMost(PATIENCE)
                .until(() -> Files.exists(answers) && lines(answers).size() > heard);
        return lines(answers).get(heard++);
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readString(file).lines().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sends a command, and waits for its answer. */
    public String ask(String command) {
        try {
            Files.writeString(talk.resolve("in"), command + "\n", StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return hear();
    }

    /** Its device memory holds what it should. */
    public void assertMemoryIntact() {
        assertThat(ask("check")).isEqualTo("OK words=" + (16 << 20) / 8);
    }

    /** Removes the container; the image is still there. */
    public void remove() {
        podman("rm", "--force", "--time", "0", name).run(PATIENCE);
    }

    @Override
    public void close() {
        remove();
        podman("rmi", "--force", name).run(PATIENCE);
    }
}
