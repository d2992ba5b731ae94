package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.snapshot.Manifest.Driver;
import dev.torpor.tools.HostMemory;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** What the host and its processes are, as {@code /proc} and {@code /sys} tell; what cannot be read is empty or 0. */
final class Host {
    static final ProcFs PROC = new ProcFs();

    private static final String LIBCUDA = "/libcuda.so";
    private static final int PATH = 5; // the field of /proc/PID/maps

    private Host() {}

    static String kernel() {
        return System.getProperty("os.name") + " " + System.getProperty("os.version");
    }

    /** With the file that a process has mapped. */
    static Driver driver(Cuda cuda, long pid) {
        String library = libcuda(pid);
        return new Driver(release(), cuda.driverVersion(), library, bytes(library));
    }

    static String release() {
        String version = ProcFs.readFile(Path.of("/sys/module/nvidia/version"));
        return version == null ? "" : version.strip();
    }

    private static String libcuda(long pid) {
        String maps = PROC.maps(pid);
        for (String line : (maps == null ? "" : maps).lines().toList()) {
            String[] fields = line.split(" +", PATH + 1);
            if (fields.length > PATH && fields[PATH].contains(LIBCUDA)) {
                return fields[PATH];
            }
        }
        return "";
    }

    static long bytes(String file) {
        try {
            return file.isEmpty() ? 0 : Files.size(Path.of(file));
        } catch (IOException e) {
            return 0;
        }
    }

    /** What the processes of a snapshot can take here. */
    static OptionalLong availableBytes() {
        return new HostMemory(PROC).availableTo(ProcessHandle.current().pid());
    }
}
