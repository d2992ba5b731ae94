package dev.torpor.mps;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.Command.Ended;
import dev.torpor.tools.IoReason;
import dev.torpor.tools.TimeText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The Multi-Process Service of one control daemon, which is known by the folder of its pipes. A process that initialises CUDA
 * becomes a client of the daemon in the folder that its variable {@code CUDA_MPS_PIPE_DIRECTORY} names, or in
 * {@code /tmp/nvidia-mps}, if there is one; the daemon then starts a server for it. A client cannot be checkpointed.
 *
 * <p>What needs the daemon's answer runs {@code nvidia-cuda-mps-control}, as the daemon's user or as root. Immutable and
 * thread-safe; of several who start or quit a daemon at once, one gets an error. After
 * <a href="https://docs.nvidia.com/deploy/mps/">NVIDIA's guide to MPS</a>.
 */
public final class Mps {
    private static final String PIPE_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY";
    private static final String LOG_VARIABLE = "CUDA_MPS_LOG_DIRECTORY";
    private static final int LONGEST_SOCKET = 107; // bytes of sun_path without its end, unix(7)
    private static final Duration TO_APPEAR = Duration.ofSeconds(10);
    private static final Duration TO_END =
            Duration.ofSeconds(1); // the front end may hear of the end before it has come

    private final Path pipe;
    private final Path log;
    private final @Nullable Path program;
    private final Map<String, String> variables;
    private final ControlProgram control;

    private Mps(Path pipe, Path log, @Nullable Path program, Map<String, String> variables) {
        this.pipe = pipe.toAbsolutePath();
        this.log = log.toAbsolutePath();
        this.program = program;
        this.variables = Map.copyOf(variables);
        Map<String, String> environment = new HashMap<>(variables);
        environment.putAll(clientEnvironment());
        control = new ControlProgram(program, environment);
    }

    /** The one with these folders for its pipes and for its logs. */
    public static Mps at(Path pipe, Path log) {
        return new Mps(pipe, log, null, Map.of());
    }

    /** The one that this process's environment names, or that of the default folders. */
    public static Mps ofThisProcess() {
        return of(System::getenv);
    }

    /**
     * The one that an environment names, by {@code CUDA_MPS_PIPE_DIRECTORY} and {@code CUDA_MPS_LOG_DIRECTORY}, with
     * {@code /tmp/nvidia-mps} and {@code /var/log/nvidia-mps} for what is empty or missing.
     *
     * @param environment gives a variable's value, or null
     */
    public static Mps of(Function<String, @Nullable String> environment) {
        return at(
                folder(environment.apply(PIPE_VARIABLE), "/tmp/nvidia-mps"),
                folder(environment.apply(LOG_VARIABLE), "/var/log/nvidia-mps"));
    }

    private static Path folder(@Nullable String named, String otherwise) {
        return Path.of(named == null || named.isEmpty() ? otherwise : named);
    }

    /** The {@code nvidia-cuda-mps-control} to run. Default: the first in PATH and then in {@code /usr/local/nvidia/bin}. */
    public Mps program(Path file) {
        return new Mps(pipe, log, file.toAbsolutePath(), variables);
    }

    /** More variables for the daemon, beside those of this process; {@code CUDA_VISIBLE_DEVICES} says which GPUs it serves. */
    public Mps variables(Map<String, String> more) {
        return new Mps(pipe, log, program, more);
    }

    /** The folder of its pipes. */
    public Path pipeFolder() {
        return pipe;
    }

    /** The folder of its logs. */
    public Path logFolder() {
        return log;
    }

    /** Whether its control daemon is there. Needs no program, and fails in no way. */
    public MpsStatus status() {
        return MpsStatus.of(pipe);
    }

    /** What makes a process its client, if these are in its environment when it initialises CUDA. */
    public Map<String, String> clientEnvironment() {
        return Map.of(PIPE_VARIABLE, pipe.toString(), LOG_VARIABLE, log.toString());
    }

    /** What makes a process nobody's client, whatever daemons there are: its pipes would be in what can be no folder. */
    public static Map<String, String> noClientEnvironment() {
        return Map.of(PIPE_VARIABLE, "/dev/null");
    }

    /**
     * The process ids of its servers.
     *
     * @throws TorporException {@link Problem#TOOL_MISSING} without the program, {@link Problem#TOOL} if it fails, as it does
     *     without a daemon
     */
    public List<Long> servers() {
        return control.pids("get_server_list", ControlProgram.LIMIT);
    }

    /**
     * The process ids of the clients of one of its servers.
     *
     * @throws TorporException as {@link #servers}
     */
    public List<Long> clients(long server) {
        return clients(server, ControlProgram.LIMIT);
    }

    private List<Long> clients(long server, Duration limit) {
        return control.pids("get_client_list " + server, limit);
    }

    /**
     * The process ids of all its clients.
     *
     * @throws TorporException as {@link #servers}
     */
    public List<Long> clients() {
        return clients(ControlProgram.LIMIT);
    }

    private List<Long> clients(Duration limit) {
        List<Long> all = new ArrayList<>();
        for (long server : control.pids("get_server_list", limit)) {
            all.addAll(clients(server, limit));
        }
        return all;
    }

    /**
     * Whether a process is one of its clients.
     *
     * @throws TorporException as {@link #servers}
     */
    public boolean isClient(long pid) {
        return clients().contains(pid);
    }

    /**
     * Starts its control daemon, and waits until that is there. Folders that are missing are made for this user alone (mode 0700),
     * so that other users cannot be clients; to have them, make the folders before.
     *
     * @return its status, which is running
     * @throws TorporException {@link Problem#TOOL_MISSING} without the program; {@link Problem#TOOL} if there is a daemon already,
     *     a folder cannot be made, or the daemon does not start, with the end of its log
     */
    public MpsStatus start() {
        MpsStatus before = status();
        if (before.running() || before.state() == MpsStatus.State.UNREACHABLE) {
            throw failure("No MPS control daemon was started: " + before.reason()
                    + ". Use that one, quit it (`torpor mps stop`), or name another folder.");
        }
        checkSocket();
        Path file = control.file();
        make(pipe);
        make(log);
        Ended ended = control.daemonize();
        if (!ended.good() || !Waiting.until(() -> status().running(), TO_APPEAR)) {
            throw failure(file + " -d started no control daemon at " + pipe + ": it ended " + ControlProgram.how(ended)
                    + ", and " + ControlLog.end(log) + ".");
        }
        return status();
    }

    private void checkSocket() {
        Path socket = pipe.resolve(MpsStatus.CONTROL);
        int length = socket.toString().getBytes(StandardCharsets.UTF_8).length;
        if (length > LONGEST_SOCKET) {
            throw failure("No MPS control daemon was started: the path of a socket has at most " + LONGEST_SOCKET
                    + " bytes, and " + socket + " has " + length + ": name a shorter folder.");
        }
    }

    private static void make(Path folder) {
        try {
            Files.createDirectories(
                    folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } catch (IOException e) {
            throw failure("No MPS control daemon was started: the folder " + folder + " cannot be made ("
                    + IoReason.of(e) + "). Name folders of yours for its pipes and logs, or run as root.");
        }
    }

    /**
     * Quits the control daemon and its servers, and waits until it is gone. It takes no new clients from then on, and ends when
     * its last client has; if that takes longer than the limit, this fails, and the daemon ends later.
     *
     * @param limit how long to wait
     * @throws TorporException {@link Problem#TOOL_MISSING} without the program; {@link Problem#TOOL} if no daemon is there, or it
     *     has not ended in time, with its clients
     * @throws IllegalArgumentException if the limit is negative
     */
    public void quit(Duration limit) {
        quit("quit", limit);
    }

    /**
     * As {@link #quit(Duration)}, and ends the servers after a time, which their clients do not survive.
     *
     * @param after the time after which the servers are ended, rounded up to seconds, at least one
     * @param limit how long to wait from then on
     */
    public void forceQuit(Duration after, Duration limit) {
        long seconds = Math.max(1, notNegative(after).plusNanos(999_999_999).toSeconds());
        quit("quit -t " + seconds, notNegative(limit).plusSeconds(seconds));
    }

    private static Duration notNegative(Duration time) {
        if (time.isNegative()) {
            throw new IllegalArgumentException("a time of " + TimeText.of(time) + " is negative");
        }
        return time;
    }

    private void quit(String command, Duration limit) {
        long begin = System.nanoTime();
        MpsStatus before = status();
        if (!before.running()) {
            throw failure("No MPS control daemon was quit: " + before.reason() + ".");
        }
        long pid = before.pid().orElseThrow();
        List<Long> clients = clientsIfItAnswers(notNegative(limit));
        Ended ended = control.tell(command, limit);
        boolean refused = ended.inTime() && !ended.good();
        Duration left = refused ? TO_END : limit.minusNanos(System.nanoTime() - begin);
        if (!Waiting.until(() -> !MpsStatus.lives(pid), left)) {
            throw failure(
                    refused
                            ? ControlProgram.NAME + " failed at '" + command + "' " + ControlProgram.how(ended)
                                    + ", and " + before.reason() + "."
                            : notEnded(pid, limit, clients));
        }
    }

    /** Asked before the daemon quits, since one that waits for its clients need not answer. */
    private List<Long> clientsIfItAnswers(Duration limit) {
        try {
            return clients(limit.compareTo(ControlProgram.LIMIT) < 0 ? limit : ControlProgram.LIMIT);
        } catch (TorporException e) {
            if (e.problem() == Problem.TOOL_MISSING) {
                throw e;
            }
            return List.of();
        }
    }

    private String notEnded(long pid, Duration limit, List<Long> clients) {
        List<String> alive = new ArrayList<>();
        for (long client : clients) {
            if (ProcessHandle.of(client).isPresent()) {
                alive.add(Long.toString(client));
            }
        }
        String whom = alive.isEmpty()
                ? "None of its clients is known: " + ControlLog.end(log)
                : "It takes no new clients and waits for process " + String.join(", ", alive)
                        + ": end what is left of them, or stop it by force, which ends its servers and"
                        + " their clients";
        return "The MPS control daemon " + pid + " at " + pipe + " has not ended within " + limit.toMillis() + " ms. "
                + whom + ".";
    }

    private static TorporException failure(String sentence) {
        return new TorporException(Problem.TOOL, sentence);
    }

    /**
     * A systemd unit for its control daemon.
     *
     * @throws TorporException {@link Problem#TOOL_MISSING} without the program
     * @throws IllegalArgumentException if a path has characters that a unit would have to escape
     */
    public MpsUnit unit() {
        return new MpsUnit(control.file(), pipe, log, null);
    }

    /** Like {@code MPS at /tmp/nvidia-mps}. */
    @Override
    public String toString() {
        return "MPS at " + pipe;
    }
}
