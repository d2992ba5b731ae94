package dev.torpor.benchmarks.start;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.PrimaryContext;
import java.io.IOException;

/**
 * {@code answer PID}, {@code state PID}, {@code context} or {@code early}: the raw state query, the typed one, a primary context,
 * a primary context initialised on a native thread. {@code train PID} goes through all of them for an AOT cache, and
 * {@code none} through nothing.
 */
public final class TorporStart {
    private TorporStart() {}

    /** Runs it. */
    public static void main(String[] args) throws IOException {
        Milestones milestones = new Milestones();
        switch (args[0]) {
            case "answer" -> answer(milestones, Integer.parseInt(args[1]));
            case "state" -> state(milestones, Integer.parseInt(args[1]));
            case "context" -> context(milestones, CudaOptions.defaults());
            case "early" -> context(milestones, CudaOptions.defaults().initializeEarly(0));
            case "train" -> train(milestones, Integer.parseInt(args[1]));
            default -> {}
        }
    }

    private static void answer(Milestones milestones, int pid) throws IOException {
        try (Cuda cuda = Cuda.open()) {
            milestones.opened();
            int result = cuda.driver().cuCheckpointProcessGetState(pid, new int[1]);
            milestones.there();
            if (result != 0) {
                throw new IllegalStateException("cuCheckpointProcessGetState answered " + result);
            }
            Milestones.hold();
        }
    }

    private static void state(Milestones milestones, int pid) throws IOException {
        try (Cuda cuda = Cuda.open()) {
            milestones.opened();
            cuda.process(pid).state();
            milestones.there();
            Milestones.hold();
        }
    }

    private static void context(Milestones milestones, CudaOptions options) throws IOException {
        try (Cuda cuda = Cuda.open(options)) {
            milestones.opened();
            try (PrimaryContext context = cuda.context(0)) {
                milestones.there();
                context.makeCurrent();
                Milestones.hold();
            }
        }
    }

    private static void train(Milestones milestones, int pid) throws IOException {
        context(milestones, CudaOptions.defaults().initializeEarly(0));
        context(milestones, CudaOptions.defaults());
        answer(milestones, pid);
        state(milestones, pid);
    }
}
