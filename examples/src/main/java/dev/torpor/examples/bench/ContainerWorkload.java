package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.podman.Podman;
import dev.torpor.tools.Command;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A container of podman's. */
public final class ContainerWorkload implements Workload {
    /** Where its store is inside. */
    static final Path STORE = Path.of("/torpor-store");

    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final long POLL_MILLIS = 100;

    private final List<String> arguments;
    private final @Nullable String runtime;
    private final Pattern ready;
    private final Duration startLimit;
    private final Check check;

    /**
     * @param arguments of {@code podman run}: options, the image, and its command
     * @param runtime the OCI runtime; null for podman's own choice
     * @param ready found in the line of the container's log by which it is ready
     * @param startLimit how long it may take to be ready
     */
    public ContainerWorkload(
            List<String> arguments, @Nullable String runtime, Pattern ready, Duration startLimit, Check check) {
        this.arguments = List.copyOf(arguments);
        this.runtime = runtime;
        this.ready = ready;
        this.startLimit = startLimit;
        this.check = check;
    }

    /** @throws TorporException if there is none */
    Podman podman() {
        Podman podman = Podman.find();
        return runtime == null ? podman : podman.runtime(runtime);
    }

    @Override
    public Subject start(Optional<ShimOptions> shim, Path folder, Consumer<Subject> begun) {
        String name = "torpor-bench-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
        List<String> words = new ArrayList<>(List.of("run", "--detach", "--name", name));
        Optional<Path> store = shim.map(options -> makeStore(folder));
        shim.ifPresent(options -> words.addAll(Podman.runArguments(Shim.extract(), options)));
        store.ifPresent(source -> words.addAll(List.of("--volume", source + ":" + STORE)));
        words.addAll(arguments);
        RunningContainer container = new RunningContainer(name, store);
        try {
            begun.accept(container);
            Command.Ended ended = run(words, startLimit);
            container.checkOpen();
            if (!ended.good()) {
                throw new TorporException(Problem.TOOL, "podman started no container: " + ended.lastWords());
            }
            awaitReady(container);
            return container;
        } catch (RuntimeException e) {
            container.close();
            throw e;
        }
    }

    /** By its real path, as a mount whose source is a link can be dumped, and then not restored. */
    private static Path makeStore(Path folder) {
        try {
            return Files.createDirectory(folder.resolve("store")).toRealPath();
        } catch (IOException e) {
            throw new TorporException(
                    Problem.TOOL, "A folder for device memory cannot be made in " + folder + ": " + e);
        }
    }

    private void awaitReady(RunningContainer container) {
        long deadline = System.nanoTime() + startLimit.toNanos();
        while (true) {
            boolean running = container.isRunning(); // asked first, as the log of one that has ended grows no more
            Command.Ended log = container.log();
            if ((log.output() + log.errors()).lines().anyMatch(ready.asPredicate())) {
                return;
            }
            if (!running) {
                throw silent(container, "has ended and has not said", log);
            }
            if (System.nanoTime() > deadline) {
                throw silent(container, "did not say within " + startLimit.toSeconds() + " s", log);
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(POLL_MILLIS));
        }
    }

    private TorporException silent(RunningContainer container, String how, Command.Ended log) {
        return new TorporException(
                Problem.TOOL,
                "Container " + container.id() + " " + how + " what '" + ready + "' matches; the last it said was: "
                        + log.lastWords());
    }

    private Command.Ended run(List<String> words, Duration limit) {
        List<String> all = new ArrayList<>(List.of("podman"));
        if (runtime != null) {
            all.addAll(List.of("--runtime", runtime));
        }
        all.addAll(words);
        return Command.of(all).run(limit);
    }

    /** Like {@code container localhost/llm serve}. */
    @Override
    public String toString() {
        return "container " + String.join(" ", arguments);
    }

    private final class RunningContainer implements Subject {
        private final String name;
        private final Optional<Path> store;
        private volatile boolean closed;

        RunningContainer(String name, Optional<Path> store) {
            this.name = name;
            this.store = store;
        }

        /** Whoever waits for it may do so while it is closed. */
        void checkOpen() {
            if (closed) {
                throw new TorporException(Problem.TOOL, "Container " + name + " was removed before it was ready.");
            }
        }

        boolean isRunning() {
            Command.Ended status = run(List.of("container", "inspect", "--format", "{{.State.Status}}", name), LIMIT);
            return status.good() && status.output().strip().equals("running");
        }

        Command.Ended log() {
            Command.Ended log = run(List.of("logs", name), LIMIT);
            checkOpen();
            if (!log.good()) {
                throw new TorporException(
                        Problem.TOOL, "podman has no log of container " + name + ": " + log.lastWords());
            }
            return log;
        }

        @Override
        public String id() {
            return name;
        }

        @Override
        public Optional<Path> store() {
            return store;
        }

        @Override
        public boolean check() {
            return check.isRight(name);
        }

        @Override
        public void close() {
            closed = true;
            Command.Ended ended = run(List.of("rm", "--force", "--ignore", "--volumes", "--time", "0", name), LIMIT);
            if (!ended.good()) {
                throw new TorporException(
                        Problem.TOOL, "podman could not remove container " + name + ": " + ended.lastWords());
            }
        }

        @Override
        public String toString() {
            return "container " + name;
        }
    }
}
