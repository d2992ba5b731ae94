package dev.torpor.tools;

import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import java.util.List;

/** Which processes are still there: one that has ended must not keep the others from being woken. */
public final class Living {
    private static final ProcFs PROC = new ProcFs();

    private Living() {}

    /** Those that have not ended, and are not about to. */
    public static List<GpuProcess> of(List<GpuProcess> processes) {
        return processes.stream().filter(Living::isThere).toList();
    }

    /** What has become of the others, behind a sentence; empty if they are all there. */
    public static String others(List<GpuProcess> processes) {
        List<GpuProcess> there = of(processes);
        StringBuilder text = new StringBuilder();
        for (GpuProcess process : processes) {
            if (!there.contains(process)) {
                text.append(" Process ").append(process.pid()).append(" has ended.");
            }
        }
        return text.toString();
    }

    private static boolean isThere(GpuProcess process) {
        if (PROC.ends(process.pid())) {
            return false;
        }
        try {
            process.state();
            return true;
        } catch (TorporException e) {
            return e.problem() != Problem.NO_SUCH_PROCESS && e.problem() != Problem.PROCESS_REPLACED;
        }
    }
}
