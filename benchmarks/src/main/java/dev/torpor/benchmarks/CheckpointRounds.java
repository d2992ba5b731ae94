package dev.torpor.benchmarks;

import com.google.gson.Gson;
import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Phase;
import dev.torpor.Report;
import dev.torpor.Step;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * {@code CheckpointRounds MEMORY ROUNDS}: a controller that stays, and suspends and resumes targets by turns. Prints a
 * {@link Turn} as a line of JSON for each suspend and resume; round 0 is the first. A line with {@code #} is a remark.
 */
public final class CheckpointRounds {
    static final String PLAIN = "plain";
    static final String HUGE = "huge pages";
    static final String KEPT_FIRST = "huge pages, kept buffer: first";
    static final String KEPT_SECOND = "huge pages, kept buffer: second";

    private static final int TOUCHERS = 16;

    /** One suspend and resume, in milliseconds. */
    record Turn(
            String variant,
            int round,
            double lock,
            double checkpoint,
            double outsideSuspend,
            double restore,
            double unlock,
            double outsideResume,
            String check) {}

    private final Cuda cuda;
    private final long memory;

    private CheckpointRounds(Cuda cuda, long memory) {
        this.cuda = cuda;
        this.memory = memory;
    }

    /** Ends with an exception if anything fails, or if memory is not what it was. */
    public static void main(String[] args) throws InterruptedException {
        long memory = Long.parseLong(args[0]);
        touch(memory * 5 / 2); // what is suspended, what is kept, and some
        try (Cuda cuda = Cuda.open()) {
            new CheckpointRounds(cuda, memory).run(Integer.parseInt(args[1]));
        }
    }

    /** Memory that a virtual machine has never given to its guest is slow when it is touched: it shall be touched before. */
    private static void touch(long bytes) throws InterruptedException {
        try (Arena arena = Arena.ofShared()) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < TOUCHERS; i++) {
                threads.add(Thread.ofPlatform().start(() -> arena.allocate(bytes / TOUCHERS))); // zeroed, so touched
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
    }

    private void run(int rounds) {
        Map<String, String> huge = shim(Map.of());
        try (Child small = target(2 << 20, Map.of())) {
            turn(small, "warm-up", 0);
        }
        try (Child plain = target(memory, Map.of());
                Child hugePages = target(memory, huge)) {
            List<IntConsumer> turns = new ArrayList<>(List.of(
                    round -> say(turn(plain, PLAIN, round)),
                    round -> say(turn(hugePages, HUGE, round)),
                    round -> kept(round, round + 1 == rounds)));
            for (int round = 0; round < rounds; round++) {
                for (IntConsumer turn : turns) {
                    turn.accept(round);
                }
                Collections.rotate(turns, 1);
            }
            finish(hugePages, HUGE);
        }
    }

    /** A fresh process each time, since only its first checkpoint finds no buffer. */
    private void kept(int round, boolean last) {
        try (Child target = target(memory, shim(Map.of("TORPOR_BUFFER_KEEP", "16G")))) {
            say(turn(target, KEPT_FIRST, round));
            say(turn(target, KEPT_SECOND, round));
            if (last) {
                finish(target, "huge pages, kept buffer");
            }
        }
    }

    private static Map<String, String> shim(Map<String, String> more) {
        Map<String, String> environment = new HashMap<>(more);
        environment.put("LD_PRELOAD", Kit.shim().toString());
        environment.put("TORPOR_BUFFER_HUGE", "1");
        environment.put("TORPOR_PARK", "0"); // all of it is to be the driver's
        environment.put("TORPOR_LOG", "info");
        return environment;
    }

    /** The shim tells its statistics as the process ends. */
    private static void finish(Child target, String variant) {
        target.close();
        target.said().lines().forEach(line -> System.out.println("# " + variant + ": " + line));
    }

    private static Child target(long bytes, Map<String, String> environment) {
        Child target = Child.start(
                List.of(Kit.program("torpor-target").toString(), "--memory", Long.toString(bytes)), environment);
        String ready = target.answer();
        if (!ready.startsWith("READY")) {
            throw new IllegalStateException("torpor-target did not start: " + ready);
        }
        return target;
    }

    private Turn turn(Child target, String variant, int round) {
        GpuProcess process = cuda.process(target.pid());
        Report down = process.suspend();
        Report up = process.resume();
        String check = target.ask("check");
        if (!check.startsWith("OK")) {
            throw new IllegalStateException(variant + ": the target's memory after a resume: " + check);
        }
        return new Turn(
                variant,
                round,
                millis(down, Step.LOCK),
                millis(down, Step.CHECKPOINT),
                down.outsideDriver().toNanos() / 1e6,
                millis(up, Step.RESTORE),
                millis(up, Step.UNLOCK),
                up.outsideDriver().toNanos() / 1e6,
                check);
    }

    private static double millis(Report report, Step step) {
        for (Phase phase : report.steps()) {
            if (phase.name().equals(step.toString())) {
                return phase.duration().toNanos() / 1e6;
            }
        }
        throw new IllegalStateException("no " + step + " in: " + report);
    }

    private static void say(Turn turn) {
        System.out.println(new Gson().toJson(turn));
    }
}
