package dev.torpor.podman;

import dev.torpor.GpuProcess;
import dev.torpor.Problem;
import dev.torpor.ProcessState;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.OwnedFolder;
import dev.torpor.tools.ProcFs;
import dev.torpor.tools.TemporaryFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Where processes of a container park, in a volume of it: each has a folder of its own there. */
final class Stores {
    private static final ProcFs PROC = new ProcFs();

    /** The same folder, by both paths. */
    private record Store(Path here, Path inside) {}

    private final Map<Long, Store> made = new HashMap<>(); // by pids of the host

    /**
     * Makes the folders. By the volume's path on the host, as what is in a container's own root may be links to anywhere.
     *
     * @param volume as the container sees it
     * @throws TorporException {@link Problem#SNAPSHOT} if it is none, or has something of that name; none of these is left then
     */
    void make(Container container, Path volume, List<GpuProcess> processes) {
        Path source = container.mounts().get(volume.toString());
        if (source == null) {
            throw new TorporException(
                    Problem.SNAPSHOT,
                    "Container " + container.name() + " has no volume at " + volume + " (it has "
                            + container.mounts().keySet()
                            + "): name one of these, or mount one when the container is started. No process was touched.");
        }
        List<Long> now = new ArrayList<>();
        for (GpuProcess process : processes) {
            if (process.shim().isEmpty()) {
                continue; // the driver alone keeps its memory
            }
            String name = name(process);
            removeIfEmpty(source.resolve(name));
            try {
                OwnedFolder.make(source.resolve(name), PROC.user(process.pid()));
                made.put(process.pid(), new Store(source.resolve(name), volume.resolve(name)));
                now.add(process.pid());
            } catch (IOException e) {
                now.forEach(pid -> delete(Objects.requireNonNull(made.remove(pid)).here)); // nothing is in them yet
                throw new TorporException(
                        Problem.SNAPSHOT,
                        source.resolve(name) + " cannot be made (" + IoReason.of(e)
                                + "): remove what is left of an earlier checkpoint, if nobody needs it any more, or name another volume."
                                + " No process was touched.");
            }
        }
    }

    private static String name(GpuProcess process) {
        return "device-memory-" + PROC.innermostPid(process.pid());
    }

    /** What processes that run again have left of their folders, in whichever volume that was. */
    static void removeEmpty(Container container, List<GpuProcess> processes) {
        for (GpuProcess process : processes) {
            for (Path source : container.mounts().values()) {
                removeIfEmpty(source.resolve(name(process)));
            }
        }
    }

    private static void removeIfEmpty(Path folder) {
        try {
            if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
                Files.delete(folder);
            }
        } catch (IOException e) {
            return; // the files in it are somebody's
        }
    }

    /** Into the process's folder, if it has one. */
    Suspend on(Suspend suspend, GpuProcess process) {
        Store store = made.get(process.pid());
        return store == null ? suspend : suspend.storeAt(store.inside);
    }

    /** Those of processes that run: of others, it may be all their memory. */
    void delete(List<GpuProcess> processes) {
        for (GpuProcess process : processes) {
            Store store = made.get(process.pid());
            if (store != null && runs(process)) {
                delete(store.here);
            }
        }
    }

    private static boolean runs(GpuProcess process) {
        try {
            return process.state().equals(ProcessState.RUNNING);
        } catch (TorporException e) {
            return false;
        }
    }

    private static void delete(Path folder) {
        try {
            TemporaryFolder.deleteAll(folder);
        } catch (IOException e) {
            return; // the next checkpoint says that it is there
        }
    }
}
