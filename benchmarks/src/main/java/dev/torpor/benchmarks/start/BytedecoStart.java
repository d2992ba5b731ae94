package dev.torpor.benchmarks.start;

import java.io.IOException;
import org.bytedeco.cuda.cudart.CUctx_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.IntPointer;

/** As {@link TorporStart}, through bytedeco's binding: {@code answer PID}, {@code context}, {@code train PID}, {@code none}. */
public final class BytedecoStart {
    private BytedecoStart() {}

    /** Runs it. */
    public static void main(String[] args) throws IOException {
        Milestones milestones = new Milestones();
        switch (args[0]) {
            case "answer" -> answer(milestones, Integer.parseInt(args[1]));
            case "context" -> context(milestones);
            case "train" -> {
                context(milestones);
                answer(milestones, Integer.parseInt(args[1]));
            }
            default -> {}
        }
    }

    private static void answer(Milestones milestones, int pid) throws IOException {
        try (IntPointer state = new IntPointer(1)) {
            milestones.opened();
            check(cudart.cuCheckpointProcessGetState(pid, state));
            milestones.there();
            Milestones.hold();
        }
    }

    private static void context(Milestones milestones) throws IOException {
        try (IntPointer device = new IntPointer(1);
                CUctx_st context = new CUctx_st()) {
            milestones.opened();
            check(cudart.cuInit(0));
            check(cudart.cuDeviceGet(device, 0));
            check(cudart.cuDevicePrimaryCtxRetain(context, device.get()));
            milestones.there();
            Milestones.hold();
            check(cudart.cuDevicePrimaryCtxRelease(device.get()));
        }
    }

    private static void check(int result) {
        if (result != 0) {
            throw new IllegalStateException("the driver answered " + result);
        }
    }
}
