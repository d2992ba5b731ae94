package dev.torpor.examples.bench;

import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.podman.Podman;
import dev.torpor.tools.Command;
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
        shim.ifPresent(options -> words.addAll(Podman.runArguments(Shim.extract(), options)));
        words.addAll(arguments);
        RunningContainer container = new RunningContainer(name);
        try {
            begun.accept(container);
            Command.Ended ended = run(words, startLimit);
            if (!ended.good()) {
                throw new TorporException(Problem.TOOL, "podman started no container: " + ended.lastWords());
            }
            awaitReady(name);
            return container;
        } catch (RuntimeException e) {
            container.close();
            throw e;
        }
    }

    private void awaitReady(String name) {
        long deadline = System.nanoTime() + startLimit.toNanos();
        while (true) {
            Command.Ended log = run(List.of("logs", name), LIMIT);
            if ((log.output() + log.errors()).lines().anyMatch(ready.asPredicate())) {
                return;
            }
            if (System.nanoTime() > deadline) {
                throw new TorporException(
                        Problem.TOOL,
                        "Container " + name + " did not say within " + startLimit.toSeconds() + " s what '" + ready
                                + "' matches; the last it said was: " + log.lastWords());
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(POLL_MILLIS));
        }
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

        RunningContainer(String name) {
            this.name = name;
        }

        @Override
        public String id() {
            return name;
        }

        @Override
        public boolean check() {
            return check.isRight(name);
        }

        @Override
        public void close() {
            Command.Ended ended = run(List.of("rm", "--force", "--ignore", "--time", "0", name), LIMIT);
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
