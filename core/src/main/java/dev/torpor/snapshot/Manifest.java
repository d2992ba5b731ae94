package dev.torpor.snapshot;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What is in a snapshot, as its {@code manifest.json} says it; {@code docs/snapshots.md} describes the file.
 *
 * @param format {@link #FORMAT} of this version
 * @param created when the processes stood still, in ISO 8601
 * @param sealed whether files and times are in it; not if the controller was killed at the very end, which costs nothing but them
 * @param simulated whether the driver was the simulator
 * @param kernel of the host, as uname(2) has it
 * @param driver of the host
 * @param gpus those that hold memory of the processes
 * @param processes all of the tree, the root first
 * @param files all but the manifest and CRIU's logs; empty unless sealed
 * @param milliseconds what each phase of the save took
 */
public record Manifest(
        int format,
        String created,
        boolean sealed,
        boolean simulated,
        String kernel,
        Driver driver,
        List<Gpu> gpus,
        List<Member> processes,
        List<StoredFile> files,
        Map<String, Double> milliseconds) {
    /** The version of what a manifest means. */
    public static final int FORMAT = 1;

    /**
     * The CUDA driver of the host, and the file of it that the processes have mapped.
     *
     * @param release like {@code 580.159.04}; empty if the host does not tell
     * @param cudaVersion as cuDriverGetVersion tells it
     * @param library an absolute path
     * @param bytes its size
     */
    public record Driver(String release, int cudaVersion, String library, long bytes) {}

    /**
     * A GPU.
     *
     * @param uuid as NVML writes it
     * @param bytes of memory that the processes held there
     */
    public record Gpu(String uuid, String name, long bytes) {}

    /**
     * A process.
     *
     * @param gpu whether it uses CUDA
     * @param state before the save, as {@link dev.torpor.ProcessState} names it; empty unless it uses CUDA
     * @param shim version of the shim that it carries; empty for none
     * @param shimLibrary its file; empty for none
     * @param shimFolder of its control socket, which must be there again; empty for none
     * @param user its owner
     * @param deviceMemory the folder with the files that its parked memory is in, within the snapshot; empty itself if it had nothing to park;
     *     empty if it is in CRIU's images
     */
    public record Member(
            long pid,
            String command,
            boolean gpu,
            String state,
            String shim,
            String shimLibrary,
            String shimFolder,
            long user,
            String deviceMemory) {}

    /**
     * A file.
     *
     * @param name within the snapshot
     * @param crc32c a checksum (RFC 3720, B.4) of each {@link #CHUNK} of it; empty if none were made
     */
    public record StoredFile(String name, long bytes, List<Long> crc32c) {
        /** So many bytes have a checksum of their own; the last of a file may have fewer. */
        public static final int CHUNK = 64 << 20;

        /** Makes the list unmodifiable. */
        public StoredFile {
            crc32c = List.copyOf(crc32c);
        }
    }

    /** Makes the lists unmodifiable. */
    public Manifest {
        gpus = List.copyOf(gpus);
        processes = List.copyOf(processes);
        files = List.copyOf(files);
        milliseconds = Map.copyOf(milliseconds);
    }

    /** Bytes of all its files; 0 unless sealed. */
    public long bytes() {
        return files.stream().mapToLong(StoredFile::bytes).sum();
    }

    /** With these processes; what is not known of one is empty. */
    Manifest withProcesses(List<Long> pids) {
        Map<Long, Member> known = new HashMap<>();
        processes.forEach(member -> known.put(member.pid(), member));
        List<Member> members = pids.stream()
                .map(pid -> known.getOrDefault(pid, new Member(pid, "", false, "", "", "", "", -1, "")))
                .toList();
        return new Manifest(format, created, sealed, simulated, kernel, driver, gpus, members, files, milliseconds);
    }

    Manifest sealedWith(List<StoredFile> all, Map<String, Double> times) {
        return new Manifest(format, created, true, simulated, kernel, driver, gpus, processes, all, times);
    }
}
