package dev.torpor.benchmarks;

import com.google.gson.Gson;
import com.google.gson.JsonParser;
import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.Phase;
import dev.torpor.Report;
import dev.torpor.Step;
import dev.torpor.Suspend;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * {@code ParkRounds ROUNDS MEMORY SIZE...}: a controller that stays. Parks a target of each size, and suspends targets of MEMORY with and
 * without the shim, by turns. Prints a {@link Turn}, or a {@link Pinned}, as a line of JSON for each measurement. A line with {@code #} is
 * a remark.
 */
public final class ParkRounds {
    static final String PARK = "park";
    static final String SMALL_BLOCKS = "park, allocations of 2 MiB";
    static final String PLAIN = "driver alone";
    static final String SHIM = "shim";
    static final String LEAN = "shim, lean";
    static final String PREPARED = "shim, prepared";

    static final String FIRST = "first";
    static final String LATER = "later";

    private static final long PINNED = 4L << 30;
    private static final long SPARE = 1L << 30; // contexts, buffers, and what others hold
    private static final int SUSPENDS = 3; // of a process, the first among them
    private static final Map<String, String> LEAN_CONTEXT =
            Map.of("CUDA_DEVICE_MAX_CONNECTIONS", "1", "CUDA_SCALE_LAUNCH_QUEUES", "0.25x");

    /**
     * One suspend and resume, in milliseconds; a step that was not made took 0.
     *
     * @param when the {@link #FIRST} of the process, or a {@link #LATER} one
     * @param down from the call of suspend to its end, the checks and all
     * @param copyOut of parking, while it copied, in GB/s
     */
    record Turn(
            String variant,
            String when,
            int round,
            long memory,
            double park,
            double lock,
            double checkpoint,
            double down,
            double restore,
            double unlock,
            double unpark,
            double up,
            double copyOut,
            double copyIn) {}

    /** How fast copies of pinned memory are in the same run. */
    record Pinned(String direction, double speed) {}

    private final Cuda cuda;
    private final int rounds;

    private ParkRounds(Cuda cuda, int rounds) {
        this.cuda = cuda;
        this.rounds = rounds;
    }

    /** Ends with an exception if anything fails, or if memory is not what it was. */
    public static void main(String[] args) throws InterruptedException {
        long memory = Long.parseLong(args[1]);
        List<Long> sizes = new ArrayList<>();
        for (int i = 2; i < args.length; i++) {
            sizes.add(Long.parseLong(args[i]));
        }
        try (Cuda cuda = Cuda.open()) {
            sizes.removeIf(size -> size > memory && !fits(cuda, size));
            HostMemory.touch(Math.min(
                    Math.max(Collections.max(sizes), 4 * memory), Math.max(HostMemory.available() - SPARE, SPARE)));
            ParkRounds measured = new ParkRounds(cuda, Integer.parseInt(args[0]));
            measured.warmUp();
            measured.park(sizes);
            measured.checkpoint(memory);
        }
    }

    private static boolean fits(Cuda cuda, long size) {
        long free = cuda.freeBytes(cuda.devices().get(0).uuid()).orElse(Long.MAX_VALUE);
        boolean fits = size + size / 8 + SPARE < Math.min(free, HostMemory.available());
        if (!fits) {
            System.out.println(
                    "# left out: " + (size >> 20) + " MiB, for which the GPU or the host has too little free");
        }
        return fits;
    }

    /** Classes are loaded, and the driver's calls are linked. */
    private void warmUp() {
        try (Target plain = Target.start(2 << 20, Map.of());
                Target shim = Target.start(2 << 20, shim(Map.of()))) {
            for (int i = 0; i < 2; i++) {
                turn(plain, Suspend.to(Level.CHECKPOINT), PLAIN, FIRST, i, 2 << 20);
                turn(shim, Suspend.to(Level.PARK), SHIM, FIRST, i, 2 << 20);
                turn(shim, Suspend.to(Level.CHECKPOINT), SHIM, FIRST, i, 2 << 20);
            }
        }
    }

    private void park(List<Long> sizes) {
        long pinned = Math.min(PINNED, sizes.get(0));
        try (Child copier = Child.start(
                List.of(
                        Kit.program("copy-bench").toString(),
                        "--serve",
                        "--pinned",
                        "--sizes",
                        Long.toString(pinned),
                        "--warm",
                        Long.toString(pinned)),
                Map.of())) {
            copier.answer();
            pinned(copier, pinned);
            park(sizes.get(0), SMALL_BLOCKS, "2M", rounds);
            for (long size : sizes) {
                park(size, PARK, "64M", size == sizes.get(0) ? 2 * rounds : rounds);
                pinned(copier, pinned);
            }
        }
    }

    private static void pinned(Child copier, long size) {
        for (String direction : List.of("from-gpu", "to-gpu")) {
            String answer = copier.ask("measure " + direction + " " + size + " 2");
            say(new Pinned(
                    direction,
                    JsonParser.parseString(answer)
                            .getAsJsonObject()
                            .get("median")
                            .getAsDouble()));
        }
    }

    /** The first time makes the arena. */
    private void park(long size, String variant, String chunk, int later) {
        try (Target target = Target.start(size, shim(Map.of()), "--chunk", chunk)) {
            for (int round = 0; round <= later; round++) {
                say(turn(target, Suspend.to(Level.PARK), variant, round == 0 ? FIRST : LATER, round, size));
            }
            target.finish(variant + ", " + (size >> 20) + " MiB");
        }
    }

    private void checkpoint(long memory) {
        try (Target plain = Target.start(memory, Map.of())) {
            List<IntConsumer> turns = new ArrayList<>(List.of(
                    round -> say(turn(plain, Suspend.to(Level.CHECKPOINT), PLAIN, LATER, round, memory)),
                    round -> suspends(memory, SHIM, Map.of(), round, SUSPENDS),
                    round -> suspends(memory, LEAN, LEAN_CONTEXT, round, SUSPENDS),
                    round -> suspends(memory, PREPARED, Map.of(), round, 1)));
            for (int round = 0; round <= rounds; round++) {
                for (IntConsumer turn : turns) {
                    turn.accept(round);
                }
                Collections.rotate(turns, 1);
            }
        }
    }

    /** A fresh process each time, since only its first suspend finds neither arena nor buffer. */
    private void suspends(long memory, String variant, Map<String, String> environment, int round, int times) {
        try (Target target = Target.start(memory, shim(environment))) {
            if (variant.equals(PREPARED)) {
                cuda.process(target.pid()).shim().orElseThrow().prepare();
            }
            for (int i = 0; i < times; i++) {
                say(turn(target, Suspend.to(Level.CHECKPOINT), variant, i == 0 ? FIRST : LATER, round, memory));
            }
            if (round == rounds) {
                target.finish(variant);
            }
        }
    }

    private static Map<String, String> shim(Map<String, String> more) {
        Map<String, String> environment = new HashMap<>(more);
        environment.put("LD_PRELOAD", Kit.shim().toString());
        environment.put("TORPOR_BUFFER_HUGE", "1");
        environment.put("TORPOR_BUFFER_KEEP", "16G");
        environment.put("TORPOR_ARENA_KEEP", "1");
        environment.put("TORPOR_PARK", "1");
        environment.put("TORPOR_LOG", "info");
        return environment;
    }

    private Turn turn(Target target, Suspend how, String variant, String when, int round, long memory) {
        GpuProcess process = cuda.process(target.pid());
        Report down = process.suspend(how);
        boolean parked = down.steps().stream().anyMatch(step -> step.name().equals(Step.PARK.toString()));
        if (parked == variant.equals(PLAIN)) {
            throw new IllegalStateException(variant + ": " + down);
        }
        Report up = process.resume();
        target.check(variant);
        return new Turn(
                variant,
                when,
                round,
                memory,
                millis(down, Step.PARK),
                millis(down, Step.LOCK),
                millis(down, Step.CHECKPOINT),
                down.total().toNanos() / 1e6,
                millis(up, Step.RESTORE),
                millis(up, Step.UNLOCK),
                millis(up, Step.UNPARK),
                up.total().toNanos() / 1e6,
                copied(down, Step.PARK),
                copied(up, Step.UNPARK));
    }

    private static double millis(Report report, Step step) {
        return report.steps().stream()
                .filter(phase -> phase.name().equals(step.toString()))
                .mapToDouble(phase -> phase.duration().toNanos() / 1e6)
                .sum();
    }

    /** Its speed while it copied, in GB/s; 0 where there was no such step. */
    private static double copied(Report report, Step step) {
        for (Phase phase : report.steps()) {
            if (phase.name().equals(step.toString())) {
                long nanos = phase.parts().stream()
                        .filter(part -> part.name().equals("copy"))
                        .mapToLong(part -> part.duration().toNanos())
                        .sum();
                return nanos == 0 ? 0 : (double) phase.bytes().orElse(0) / nanos;
            }
        }
        return 0;
    }

    private static void say(Record measured) {
        System.out.println(new Gson().toJson(measured));
    }
}
