package dev.torpor.examples.bench;

import dev.torpor.Cuda;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.tools.TemporaryFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Suspends and wakes a workload in several ways by turns, so that what drifts hits all of them alike. What fails ends one way, and the
 * others go on; nothing that was started is left behind.
 */
public final class Experiment {
    private static final String NO_WORKLOAD = "no container was given: name one behind --, as for podman run.";

    private final Cuda cuda;
    private final Plan plan;
    private final Neighbours neighbours;
    private final Consumer<String> progress;

    /**
     * What to do.
     *
     * @param workloads what to suspend and wake; a level that has none is skipped
     * @param depths the levels, one after the other
     * @param variants by turns; the first is what the others are compared with
     * @param rounds how often each
     * @param warmUps how often a process is suspended and woken before that in each round
     * @param images where snapshots are, while they are needed
     */
    public record Plan(
            Map<Depth, Workload> workloads,
            List<Depth> depths,
            List<Variant> variants,
            int rounds,
            int warmUps,
            Path images) {}

    /**
     * An experiment on this driver.
     *
     * @param target a torpor-target, for what MPS needs
     * @param environment lets a program find the driver
     * @param progress hears a line about each round
     */
    public Experiment(
            Cuda cuda, Plan plan, Optional<Path> target, Map<String, String> environment, Consumer<String> progress) {
        this.cuda = cuda;
        this.plan = plan;
        this.progress = progress;
        neighbours = new Neighbours(cuda, target, environment);
    }

    /**
     * Does it, and hands on what it found, also where it was interrupted: this JVM does not end before that is taken.
     *
     * @param taker prints and writes it
     */
    public void run(Taker taker) throws IOException {
        try (Interruption interruption = new Interruption()) {
            List<Findings> findings = new ArrayList<>();
            for (Depth depth : plan.depths()) {
                findings.add(run(depth, interruption));
            }
            taker.take(new Protocol(findings, plan.rounds(), plan.warmUps(), Host.facts(cuda)));
        }
    }

    /** Somebody who wants to know. */
    public interface Taker {
        /** Called once. */
        void take(Protocol protocol) throws IOException;
    }

    private Findings run(Depth depth, Interruption interruption) {
        List<Outcome> outcomes = plan.variants().stream().map(Outcome::new).toList();
        Optional<Workload> workload = Optional.ofNullable(plan.workloads().get(depth));
        try {
            Levels.Cycle cycle = cycle(depth);
            outcomes.forEach(
                    outcome -> neighbours.missing(outcome.variant().neighbour()).ifPresent(outcome::skip));
            byTurns(new Turn(depth, workload.orElseThrow(), cycle), outcomes, interruption);
        } catch (TorporException e) {
            outcomes.forEach(outcome -> outcome.skip(String.valueOf(e.getMessage())));
        }
        return new Findings(
                depth,
                workload.map(Workload::toString).orElse("nothing"),
                outcomes,
                interruption.hasCome(),
                cuda.simulated());
    }

    /** @throws TorporException if the level cannot be had here */
    private Levels.Cycle cycle(Depth depth) {
        Workload workload = plan.workloads().get(depth);
        if (workload == null) {
            throw new TorporException(Problem.TOOL_MISSING, NO_WORKLOAD);
        }
        if (depth == Depth.CHECKPOINT) {
            return Levels.checkpoint(cuda);
        }
        checkRoot(depth);
        Criu criu = Criu.find();
        criu.check();
        return workload instanceof ContainerWorkload container
                ? Levels.podman(cuda, container.podman())
                : Levels.snapshot(cuda, criu, plan.images(), depth == Depth.SNAPSHOT_COLD);
    }

    private static void checkRoot(Depth depth) {
        try {
            if (Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0)) {
                return;
            }
        } catch (IOException e) {
            return; // those who need root will say so
        }
        throw new TorporException(Problem.NO_PERMISSION, "Level " + depth + " needs root: run this as root.");
    }

    private record Turn(Depth depth, Workload workload, Levels.Cycle cycle) {}

    private void byTurns(Turn turn, List<Outcome> outcomes, Interruption interruption) {
        List<Outcome> order = new ArrayList<>(outcomes);
        for (int round = 1; round <= plan.rounds(); round++) {
            for (Outcome outcome : order) {
                if (outcome.goesOn() && !interruption.hasCome()) {
                    take(turn, outcome, round, interruption);
                }
            }
            Collections.rotate(order, 1);
        }
    }

    private void take(Turn turn, Outcome outcome, int round, Interruption interruption) {
        String what = turn.depth() + ", round " + round + ", " + outcome.variant() + ": ";
        try {
            Map<Measure, Double> measured = measure(turn, outcome.variant(), interruption);
            outcome.add(measured);
            progress.accept(what + "suspend " + Text.time(measured.getOrDefault(Measure.SUSPEND, 0.0)) + ", total "
                    + Text.time(measured.getOrDefault(Measure.TOTAL, 0.0)));
        } catch (RuntimeException e) { // whatever one way runs into, the others are to go on
            if (!interruption.hasCome()) {
                outcome.fail(e);
                progress.accept(what + "failed: " + outcome.reason());
            }
        }
    }

    @SuppressWarnings("try") // whoever is beside it has only to be there
    private Map<Measure, Double> measure(Turn turn, Variant variant, Interruption interruption) {
        try (Neighbours.Presence present = neighbours.open(variant.neighbour());
                TemporaryFolder folder = TemporaryFolder.in(plan.images());
                Subject subject = turn.workload().start(variant.shim(), folder.path(), interruption::watch)) {
            for (int i = 0; i < plan.warmUps(); i++) {
                cycle(turn, variant, subject);
            }
            return cycle(turn, variant, subject);
        } finally {
            interruption.watch(null);
        }
    }

    private static Map<Measure, Double> cycle(Turn turn, Variant variant, Subject subject) {
        Map<Measure, Double> measured = turn.cycle().run(subject, variant);
        long begin = System.nanoTime();
        if (subject.check()) {
            double answered = (System.nanoTime() - begin) / 1e9;
            measured.put(Measure.FIRST_WORD, measured.getOrDefault(Measure.TOTAL, 0.0) + answered);
        }
        return measured;
    }
}
