package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.snapshot.Manifest.Driver;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What the host and its processes are, as {@code /proc} and {@code /sys} tell; what cannot be read is empty or 0. */
final class Host {
    private static final String LIBCUDA = "/libcuda.so";
    private static final int PATH = 5; // the field of /proc/PID/maps

    private Host() {}

    static String kernel() {
        return System.getProperty("os.name") + " " + System.getProperty("os.version");
    }

    /** With the file that a process has mapped. */
    static Driver driver(Cuda cuda, long pid) {
        String library = mapped(pid, LIBCUDA);
        return new Driver(release(), cuda.driverVersion(), library, bytes(library));
    }

    static String release() {
        return text(Path.of("/sys/module/nvidia/version")).strip();
    }

    private static String mapped(long pid, String name) {
        for (String line : text(proc(pid, "maps")).lines().toList()) {
            String[] fields = line.split(" +", PATH + 1);
            if (fields.length > PATH && fields[PATH].contains(name)) {
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

    static String command(long pid) {
        return text(proc(pid, "cmdline")).replace('\0', ' ').strip();
    }

    static int user(long pid) {
        try {
            return (Integer) Files.getAttribute(Path.of("/proc", Long.toString(pid)), "unix:uid");
        } catch (IOException e) {
            return 0;
        }
    }

    /** A variable of the environment with which it was started; empty if it is not set. */
    static String variable(long pid, String name) {
        for (String variable : text(proc(pid, "environ")).split("\0")) {
            if (variable.startsWith(name + "=")) {
                return variable.substring(name.length() + 1);
            }
        }
        return "";
    }

    /** Memory that CRIU would have to write: what is no file's. */
    static long ownBytes(long pid) {
        return kibibytes(proc(pid, "status"), "RssAnon:", "RssShmem:") << 10;
    }

    static long availableBytes() {
        return kibibytes(Path.of("/proc/meminfo"), "MemAvailable:") << 10;
    }

    private static long kibibytes(Path file, String... names) {
        long sum = 0;
        for (String line : text(file).lines().toList()) {
            if (List.of(names).contains(line.split("\\s+")[0])) {
                sum += Long.parseLong(line.split("\\s+")[1]);
            }
        }
        return sum;
    }

    private static Path proc(long pid, String name) {
        return Path.of("/proc", Long.toString(pid), name);
    }

    private static String text(Path file) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return "";
        }
    }
}
