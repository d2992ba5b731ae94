package dev.torpor.examples.bench;

import dev.torpor.Cuda;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.examples.Jvm;
import dev.torpor.examples.bench.Variant.Neighbour;
import dev.torpor.examples.cli.Torpor;
import dev.torpor.mps.Mps;
import dev.torpor.tools.Command;
import dev.torpor.tools.TemporaryFolder;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Who is there beside the process that is suspended. Each is a process of its own: this one must not hold the GPU. */
final class Neighbours {
    private static final String MPS_PROGRAM = "nvidia-cuda-mps-control";
    private static final String MPS_FOLDER = "/usr/local/nvidia/bin";
    private static final String READY = "READY";
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final Cuda cuda;
    private final Optional<Path> target;
    private final Map<String, String> environment;

    /** Until it is closed, somebody is there. */
    interface Presence extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * @param target a torpor-target, which makes an MPS server start
     * @param environment lets it find the driver
     */
    Neighbours(Cuda cuda, Optional<Path> target, Map<String, String> environment) {
        this.cuda = cuda;
        this.target = target;
        this.environment = environment;
    }

    /** Why one cannot be had; empty if it can. */
    Optional<String> missing(Neighbour neighbour) {
        if (!neighbour.isMps()) {
            return Optional.empty();
        }
        if (cuda.simulated()) {
            return Optional.of("the driver is the simulator, which has no MPS.");
        }
        if (Command.find(MPS_PROGRAM, MPS_FOLDER).isEmpty()) {
            return Optional.of("there is no " + MPS_PROGRAM + " in PATH or " + MPS_FOLDER + ".");
        }
        return neighbour == Neighbour.MPS_SERVER && target.isEmpty()
                ? Optional.of("there is no torpor-target, whose start would start an MPS server.")
                : Optional.empty();
    }

    /** @throws TorporException if it does not come */
    Presence open(Neighbour neighbour) {
        return switch (neighbour) {
            case NOBODY -> () -> {};
            case KEEPER -> keeper();
            case MPS -> mps(false);
            case MPS_SERVER -> mps(true);
        };
    }

    private Presence keeper() {
        ProcessBuilder builder =
                new ProcessBuilder(Jvm.command(Torpor.class, List.of("--library", cuda.library(), "keep")));
        builder.environment().putAll(Mps.noClientEnvironment());
        builder.redirectErrorStream(true);
        try {
            Process keeper = builder.start();
            String said = CompletableFuture.supplyAsync(() -> readyLine(keeper))
                    .completeOnTimeout(
                            "nothing within " + LIMIT.toSeconds() + " s", LIMIT.toSeconds(), TimeUnit.SECONDS)
                    .join();
            if (!said.startsWith(READY)) {
                end(keeper);
                throw new TorporException(Problem.TOOL, "`torpor keep` did not start: " + said);
            }
            return () -> end(keeper);
        } catch (IOException e) {
            throw new UncheckedIOException("`torpor keep` cannot be started", e);
        }
    }

    /** The JVM may have something to say before; without such a line, it is the last one. */
    private static String readyLine(Process keeper) {
        String last = "nothing";
        try {
            BufferedReader said = keeper.inputReader();
            for (String line = said.readLine(); line != null; line = said.readLine()) {
                last = line;
                if (line.startsWith(READY)) {
                    return line;
                }
            }
            return last;
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static void end(Process process) {
        process.destroy();
        try {
            if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    /** With folders of its own, so that it serves nobody but whom this makes its client. */
    private Presence mps(boolean server) {
        TemporaryFolder folder = TemporaryFolder.make();
        Mps mps = Mps.at(folder.path().resolve("pipe"), folder.path().resolve("log"));
        Presence presence = () -> {
            try (folder) {
                if (mps.status().running()) {
                    mps.forceQuit(Duration.ofSeconds(5), LIMIT);
                }
            }
        };
        try {
            mps.start();
            if (server) {
                startServer(mps);
            }
            return presence;
        } catch (RuntimeException e) {
            presence.close();
            throw e;
        }
    }

    private void startServer(Mps mps) {
        Map<String, String> variables = new HashMap<>(environment);
        variables.putAll(mps.clientEnvironment());
        String program = target.orElseThrow().toString();
        Command.Ended client = Command.of(List.of(program, "--memory", "1M"))
                .environment(variables)
                .input("quit\n")
                .run(LIMIT);
        if (!client.good() || mps.servers().isEmpty()) {
            throw new TorporException(Problem.TOOL, "No MPS server started with a client: " + client.lastWords());
        }
    }
}
