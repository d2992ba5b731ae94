package dev.torpor.snapshot;

import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.ProcessState;
import dev.torpor.Resume;
import dev.torpor.TorporException;
import dev.torpor.tools.Living;
import java.util.ArrayList;
import java.util.List;

/** How processes get back to what they were before a save. */
final class Waking {
    private Waking() {}

    /** Whatever the states in which they are now; one that is there already stays, and one that has ended is left out. */
    static void all(List<GpuProcess> processes, Description before, Folder folder) {
        List<GpuProcess> there = Living.of(processes);
        try {
            wake(there, before, folder);
        } catch (TorporException e) {
            List<GpuProcess> left = Living.of(there);
            if (left.size() == there.size()) {
                throw e;
            }
            all(left, before, folder); // one that has ended meanwhile was in their way
        }
    }

    private static void wake(List<GpuProcess> processes, Description before, Folder folder) {
        List<GpuProcess> ran = new ArrayList<>();
        for (GpuProcess process : processes) {
            ProcessState was = before.stateBefore(process);
            ProcessState is = process.state();
            if (is.equals(was)) {
                continue;
            }
            if (was.equals(ProcessState.RUNNING)) {
                ran.add(process);
            } else if (was.equals(ProcessState.PARKED)) {
                process.restore();
                process.unlock();
            }
        }
        if (!ran.isEmpty()) {
            GpuGroup.of(ran)
                    .resume(process -> before.stores(process)
                            ? Resume.defaults().storedAt(folder.deviceMemory(process.pid()))
                            : Resume.defaults());
        }
    }
}
