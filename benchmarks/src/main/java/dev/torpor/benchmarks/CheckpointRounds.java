package dev.torpor.benchmarks;

import com.google.gson.Gson;
import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Phase;
import dev.torpor.Report;
import dev.torpor.Step;
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
        HostMemory.touch(memory * 5 / 2); // what is suspended, what is kept, and some
        try (Cuda cuda = Cuda.open()) {
            new CheckpointRounds(cuda, memory).run(Integer.parseInt(args[1]));
        }
    }

    private void run(int rounds) {
        Map<String, String> huge = shim(Map.of());
        try (Target small = Target.start(2 << 20, Map.of())) {
            turn(small, "warm-up", 0);
        }
        try (Target plain = Target.start(memory, Map.of());
                Target hugePages = Target.start(memory, huge)) {
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
            hugePages.finish(HUGE);
        }
    }

    /** A fresh process each time, since only its first checkpoint finds no buffer. */
    private void kept(int round, boolean last) {
        try (Target target = Target.start(memory, shim(Map.of("TORPOR_BUFFER_KEEP", "16G")))) {
            say(turn(target, KEPT_FIRST, round));
            say(turn(target, KEPT_SECOND, round));
            if (last) {
                target.finish("huge pages, kept buffer");
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

    private Turn turn(Target target, String variant, int round) {
        GpuProcess process = cuda.process(target.pid());
        Report down = process.suspend();
        Report up = process.resume();
        String check = target.check(variant);
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
