package dev.torpor.criu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What CRIU says in a log: which error came first, and what to do about it. */
final class CriuLog {
    /** Timestamps, and pids of processes that are being restored, may come first. */
    private static final Pattern ERROR = Pattern.compile("(?m)^(?:[ 0-9.:()]|pie)*Error \\([^)]*\\): (.*)$");

    /** CRIU wants a higher limit for itself, and a device for virtual networks, and does without. */
    private static final Pattern HARMLESS =
            Pattern.compile("rlimit: Can't setup RLIMIT_NOFILE|tun: Unable to create tun");

    /** CRIU's words for a mapping of a file that it does not know: the file's mode, and its name. */
    private static final Pattern UNKNOWN_MAPPING = Pattern.compile("Unknown \\S+ [0-7]+ \\((.*)\\)");

    /** A restore forks each process with the pid that it had. */
    private static final Pattern TAKEN_PID = Pattern.compile("Can't fork for \\d+: File exists");

    private static final int LONGEST = 400;

    /** Parts of CRIU's messages, with what to do. The first that is found counts. */
    private static final List<Map.Entry<String, String>> ADVICE = List.of(
            Map.entry(
                    "hsperfdata",
                    "Start that Java program with -XX:+PerfDisableSharedMem: every other Java program deletes this file of one that has ended."),
            Map.entry("Connected TCP socket", "Ask for --tcp-established, in the dump and in the restore."),
            Map.entry(
                    "Can't get 1:16 opt",
                    "From Linux 6.16 on, CRIU before 4.2 cannot dump TCP sockets: install CRIU 4.2 or later."),
            Map.entry(
                    "is outside of its pid namespace",
                    "Start it with setsid: where the leader of its session is outside, CRIU cannot say which session is its."),
            Map.entry("--shell-job", "Ask for --shell-job, in the dump and in the restore, or start it with setsid."),
            Map.entry(
                    "tty: ",
                    "It has a terminal: start it without one, or ask for --shell-job in the dump and in the restore."),
            Map.entry(
                    "Can't dump half of stream unix connection",
                    "Close its connections to Unix sockets of other processes before the dump."),
            Map.entry(
                    "--ext-unix-sk",
                    "Close its connections to Unix sockets of other processes, or ask for --ext-unix-sk."),
            Map.entry("--file-locks", "Ask for --file-locks, in the dump and in the restore."),
            Map.entry(
                    "Can't link remap to",
                    "Another dump has left that file: remove it, unless images that CRIU alone has made still need it."),
            Map.entry(
                    "link-remap",
                    "It has a file whose name is gone while other links of it are left, as a POSIX semaphore is: ask for CRIU's"
                            + " option --link-remap."),
            Map.entry(
                    "link_remap.",
                    "The link that CRIU made at the dump is there for one restore at most: restore a snapshot of Torpor, which"
                            + " makes it again."),
            Map.entry(
                    "Can't dump ghost file",
                    "A deleted file that it has open is too large: give CRIU a higher" + " --ghost-limit."),
            Map.entry(
                    "io_uring",
                    "CRIU cannot dump io_uring: start it without, or close its rings before the dump (a Node.js program has"
                            + " UV_USE_IO_URING=0 for that)."),
            Map.entry("has bad size", "A file that it has open has changed since the dump: put it back as it was."),
            Map.entry("has bad mode", "Give the file the mode that it had, or ask for --skip-file-rwx-check."),
            Map.entry(
                    "No such file or directory",
                    "Put back what it had open at the time of the dump, at the same path."),
            Map.entry(
                    "iptables-restore returned",
                    "Install iptables, or for a network that need not be locked write 'network-lock skip' into /etc/criu/runc.conf."),
            Map.entry("rt vDSO area bounds", "This CRIU is too old for the kernel: install CRIU 4.1 or later."),
            Map.entry(
                    "Unable to detach from",
                    "CRIU may not trace it, or it has ended: a kernel thread cannot be dumped."));

    private final String text;

    CriuLog(String text) {
        this.text = text;
    }

    /** Empty if it cannot be read. */
    static CriuLog of(Path file) {
        try {
            return new CriuLog(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
        } catch (IOException e) {
            return new CriuLog("");
        }
    }

    boolean hasError() {
        return !firstError().isEmpty();
    }

    /** What it says, and then something else. */
    CriuLog and(String more) {
        return new CriuLog(text + "\n" + more);
    }

    /** One sentence or two, without the log's own name. */
    String sentence() {
        String error = firstError();
        String first = error.isEmpty() ? firstLine() : error;
        String lacking = Capabilities.lacking();
        if (!lacking.isEmpty()) {
            return first + ". " + lacking;
        }
        if (TAKEN_PID.matcher(first).find()) {
            return first + ". Another process has the pid now, or the old one is not gone yet: end it, or wait.";
        }
        for (Map.Entry<String, String> advice : ADVICE) {
            if (first.contains(advice.getKey())) {
                return first + ". " + advice.getValue();
            }
        }
        return first + ".";
    }

    private String firstError() {
        Matcher errors = ERROR.matcher(text);
        while (errors.find()) {
            if (!HARMLESS.matcher(errors.group(1)).find()) {
                return readable(errors.group(1));
            }
        }
        return "";
    }

    private String firstLine() {
        return readable(text.strip().lines().findFirst().orElse("it does not say why"));
    }

    private static String readable(String line) {
        String printable = line.strip().replaceAll("\\p{Cntrl}", "?").replaceAll("[.:]+$", "");
        printable =
                UNKNOWN_MAPPING.matcher(printable).replaceAll("a file of a kind that CRIU cannot dump is mapped ($1)");
        return printable.length() > LONGEST ? printable.substring(0, LONGEST) + "…" : printable;
    }
}
