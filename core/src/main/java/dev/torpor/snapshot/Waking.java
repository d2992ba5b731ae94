package dev.torpor.snapshot;

import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.ProcessState;
import dev.torpor.Resume;
import dev.torpor.TorporException;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.tools.Living;
import java.util.ArrayList;
import java.util.List;

/** How processes get back to what they were before a save. */
final class Waking {
    private Waking() {}

    /** Whatever the states in which they are now; one that is there already stays, and one that has ended is left out. */
    static void all(List<GpuProcess> processes, Description before, Folder folder, Manifest manifest) {
        List<GpuProcess> there = Living.of(processes);
        try {
            wake(there, before, folder, manifest);
        } catch (TorporException e) {
            List<GpuProcess> left = Living.of(there);
            if (left.size() == there.size()) {
                throw e;
            }
            all(left, before, folder, manifest); // one that has ended meanwhile was in their way
        }
    }

    private static void wake(List<GpuProcess> processes, Description before, Folder folder, Manifest manifest) {
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
            GpuGroup.of(ran).resume(process -> resume(folder, manifest, process));
        }
    }

    static Resume resume(Folder folder, Manifest manifest, GpuProcess process) {
        for (Member member : manifest.processes()) {
            if (member.pid() == process.pid() && !member.deviceMemory().isEmpty()) {
                return Resume.defaults().storedAt(folder.file(member.deviceMemory()));
            }
        }
        return Resume.defaults();
    }
}
