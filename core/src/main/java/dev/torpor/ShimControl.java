package dev.torpor;

import dev.torpor.ShimTrouble.Kind;
import dev.torpor.tools.ProcFs;
import dev.torpor.tools.TimeText;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The shim in a process, to talk to: the commands of its control socket, which {@code docs/parking.md} describes. No driver is needed in
 * the caller. Every command has a connection of its own, and is answered when it is done. Immutable and thread-safe. Commands that
 * move or make memory are carried out one after the other; {@link #status} and {@link #statistics} are answered at once meanwhile.
 *
 * <p>These are the shim's commands as they are. What the driver has done to the process is not looked at: in a process that is locked or
 * checkpointed, {@link #park} and {@link #unpark} may wait until it is unlocked. {@link GpuProcess#suspend(Suspend)} and
 * {@link GpuProcess#resume(Resume)} do both in the right order, with checks and undoing.
 *
 * <p>Every command throws {@link TorporException}: {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED} and
 * {@link Problem#NO_PERMISSION} about the process; {@link Problem#NO_SHIM} if nothing listens; {@link Problem#UNRESPONSIVE} if no answer
 * came in time; {@link Problem#SHIM} if the answer makes no sense, or the connection ended first; and for what the shim refuses
 * {@link Problem#LOCK_TIMEOUT} and {@link Problem#WRONG_STATE} ({@code busy}, {@code parked}, {@code running}),
 * {@link Problem#DEVICE_MEMORY}, {@link Problem#HOST_MEMORY}, {@link Problem#ARENA}, {@link Problem#NOT_SUPPORTED} ({@code off}) or
 * {@link Problem#DRIVER}. What is refused leaves the process in the state that it was in.
 */
public final class ShimControl {
    /** What asks for no work is answered in microseconds. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /** What a question about the state may take of a caller's time. */
    static final Duration AT_ONCE = Duration.ofSeconds(1);

    private static final String STATUS = "status";

    private static final Duration LONGEST_WAIT = Duration.ofHours(1); // of the protocol

    /** The parts of a step, as the shim names their times, in the order in which they happen. */
    private static final List<String> PARTS = List.of("wait", "arena", "map", "copy", "release");

    private final ProcFs proc;
    private final long pid;
    private final long startTime;
    private final @Nullable Duration limit;

    private ShimControl(ProcFs proc, long pid, long startTime, @Nullable Duration limit) {
        this.proc = proc;
        this.pid = pid;
        this.startTime = startTime;
        this.limit = limit;
    }

    /** @param startTime that the process must have */
    static ShimControl of(ProcFs proc, long pid, long startTime) {
        return new ShimControl(proc, pid, startTime, null);
    }

    /**
     * The same, with a limit to how long any command may take. Without one, those that move or make memory take as long as they need,
     * and others are given up after 10 s. A park that is given up is called off; what else is given up may still be done.
     *
     * @param answerWithin more than 0, up to 365 days
     */
    public ShimControl answerWithin(Duration answerWithin) {
        return new ShimControl(proc, pid, startTime, Timeouts.positive(answerWithin));
    }

    /** Process id. */
    public long pid() {
        return pid;
    }

    /**
     * Which shim it is, by the files that the process has mapped; its state or its socket do not matter.
     *
     * @throws TorporException {@link Problem#NO_SHIM}, {@link Problem#NO_SUCH_PROCESS}, {@link Problem#PROCESS_REPLACED},
     *     {@link Problem#NO_PERMISSION}
     */
    public Shim.Loaded loaded() {
        Preflight.identify(proc, pid, startTime);
        return new ShimScan(proc)
                .of(pid)
                .orElseThrow(() -> new TorporException(Problem.NO_SHIM, "Process " + pid + " carries no shim."));
    }

    /** Asks how it is ({@code status}). */
    public ShimStatus status() {
        return status(ask("status"));
    }

    /**
     * Has host memory made for all that could be parked now, so that a park need not ({@code prepare}).
     *
     * @return with {@code bytes} of host memory that are ready
     */
    public Phase prepare() {
        ShimAnswer answer = ask("prepare");
        return phase("prepare", answer, "arena_bytes");
    }

    /**
     * Parks the process: device memory moves to the host, while context, kernels and graphs stay ({@code park}).
     *
     * @param timeout how long to wait for work that is on the GPU already: 0 to 1 h, in milliseconds, rounded up; 0 does not wait
     */
    public Phase park(Duration timeout) {
        return phase("park", ask(parkCommand(waiting(timeout), "")), "bytes");
    }

    /**
     * As {@link #park(Duration)}, into new files in a folder in place of anonymous memory. The unpark looks for them there, and removes
     * them.
     *
     * @param folder as for {@link Suspend#arena}
     */
    public Phase park(Duration timeout, Path folder) {
        return phase("park", ask(parkCommand(waiting(timeout), " arena=" + checkedArena(folder))), "bytes");
    }

    /** Gives the process its device memory back, at the same addresses ({@code unpark}). */
    public Phase unpark() {
        return phase("unpark", ask("unpark"), "bytes");
    }

    /**
     * Gives up host memory that is kept for the next park ({@code release}).
     *
     * @return how much it was, in bytes
     */
    public long release() {
        return number("release", ask("release"), "arena_bytes");
    }

    /** What it has done so far ({@code stats}). */
    public ShimStatistics statistics() {
        return ShimStatistics.of(ask("stats").values());
    }

    private static Duration waiting(Duration timeout) {
        if (timeout.isNegative() || timeout.compareTo(LONGEST_WAIT) > 0) {
            throw new IllegalArgumentException("a timeout of " + TimeText.of(timeout)
                    + " for parking is out of range: use 0 to " + TimeText.of(LONGEST_WAIT));
        }
        return timeout;
    }

    static Path checkedArena(Path folder) {
        String path = folder.toString();
        if (!folder.isAbsolute() || path.indexOf('\n') >= 0 || path.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(
                    "'" + path + "' cannot be an arena: it takes an absolute path of one line, as the process sees it");
        }
        return folder;
    }

    /** The driver's lock waits for ever with a timeout of 0; the shim for an hour at most. */
    static String parkCommand(Suspend options, @Nullable String by) {
        Duration timeout = options.lockTimeout();
        boolean longest = timeout.isZero() || timeout.compareTo(LONGEST_WAIT) > 0;
        String kept = options.stored() ? " keep=1" : "";
        return parkCommand(
                longest ? LONGEST_WAIT : timeout,
                named(by)
                        + options.arena()
                                .map(folder -> kept + " arena=" + folder)
                                .orElse(""));
    }

    private static String named(@Nullable String by) {
        return by == null ? "" : " by=" + by;
    }

    private static String parkCommand(Duration timeout, String arena) {
        return "park timeout-ms=" + Timeouts.millis(timeout) + arena;
    }

    /** @param by unparks only what was parked by this name; null for whatever is parked */
    static String unparkCommand(Resume options, @Nullable String by) {
        return "unpark" + named(by)
                + (options.removesStored() ? " keep=0" : "")
                + options.storedAt().map(folder -> " arena=" + folder).orElse("");
    }

    private ShimAnswer ask(String command) {
        Preflight.identify(proc, pid, startTime);
        String name = command.split(" ", 2)[0];
        try {
            ShimAnswer answer = exchange(command, limit(name));
            if (!answer.ok()) {
                throw ShimFailure.refused(pid, name, answer).exception();
            }
            return answer;
        } catch (ShimTrouble e) {
            throw ShimFailure.of(proc, pid, name, e).exception();
        }
    }

    private Optional<Duration> limit(String command) {
        boolean works = command.equals("park") || command.equals("unpark") || command.equals("prepare");
        return limit != null || works ? Optional.ofNullable(limit) : Optional.of(PATIENCE);
    }

    /** How long to wait for the answer to a question, where the caller allows so long for each step. */
    static Duration patience(Optional<Duration> step) {
        return step.isPresent() && step.get().compareTo(PATIENCE) < 0 ? step.get() : PATIENCE;
    }

    /**
     * The state of a process that runs as far as the driver knows. A shim that listens and does not answer within 1 s is one of an earlier
     * version, which answers no question while it parks: that counts as {@link ProcessState#PARKING}.
     *
     * @param limit that the caller sets
     * @throws ShimTrouble if no answer came within a limit of less than 1 s, or one that makes no sense
     */
    ProcessState state(Optional<Duration> limit) throws ShimTrouble {
        Duration patience = limit.isPresent() && limit.get().compareTo(AT_ONCE) < 0 ? limit.get() : AT_ONCE;
        try {
            ShimAnswer answer = exchange("status", Optional.of(patience));
            return answer.ok() ? status(answer).state() : ProcessState.RUNNING;
        } catch (ShimTrouble e) {
            if (e.kind() == Kind.ABSENT || e.kind() == Kind.DENIED) {
                return ProcessState.RUNNING;
            }
            if (e.kind() == Kind.SILENT && patience.equals(AT_ONCE)) {
                return ProcessState.PARKING;
            }
            throw e;
        }
    }

    /** The answer, a refusal among them. */
    ShimAnswer exchange(String command, Optional<Duration> within) throws ShimTrouble {
        ShimSocket socket = ShimSocket.of(proc, pid);
        if (!command.equals(STATUS) && !socket.isCertain(proc, pid)) {
            answer(socket, STATUS, Optional.of(patience(within))); // so that no other process is told to do it
        }
        return answer(socket, command, within);
    }

    private ShimAnswer answer(ShimSocket socket, String command, Optional<Duration> within) throws ShimTrouble {
        String line = Conversation.ask(socket.path(), command, within);
        ShimAnswer answer = ShimAnswer.parse(line);
        if (answer == null) {
            throw new ShimTrouble(Kind.BROKEN, "this answer makes no sense: '" + shortened(line) + "'");
        }
        checkAnswerer(socket, answer);
        return answer;
    }

    /** Two containers may share the folder of their sockets, and each may have a process of that number. */
    private void checkAnswerer(ShimSocket socket, ShimAnswer answer) throws ShimTrouble {
        OptionalLong who = answer.number("pid");
        if (who.isPresent() && who.getAsLong() != socket.innerPid()) {
            throw new ShimTrouble(
                    Kind.ABSENT,
                    "process " + who.getAsLong() + " answers at " + socket.seen() + " in place of process "
                            + socket.innerPid());
        }
        OptionalLong namespace = answer.number("pid_namespace");
        long own = proc.pidNamespace(pid);
        if (namespace.isPresent() && namespace.getAsLong() > 0 && own >= 0 && namespace.getAsLong() != own) {
            throw new ShimTrouble(
                    Kind.ABSENT,
                    "process " + socket.innerPid() + " of another pid namespace answers at " + socket.seen());
        }
    }

    /** Text from elsewhere goes into sentences, and these to terminals. */
    private static String shortened(String line) {
        String printable = line.replaceAll("\\p{Cntrl}", "?");
        return printable.length() > 80 ? printable.substring(0, 80) + "…" : printable;
    }

    ShimStatus status(ShimAnswer answer) {
        String command = "status";
        ProcessState state = state(answer.values().get("state"));
        if (state.equals(ProcessState.UNKNOWN)) {
            throw ShimFailure.lacking(pid, command, "state").exception();
        }
        return new ShimStatus(
                answer.values().getOrDefault("version", ""),
                number(command, answer, "pid"),
                state,
                number(command, answer, "parkable_bytes"),
                number(command, answer, "parked_bytes"),
                number(command, answer, "left_bytes"),
                number(command, answer, "arena_bytes"),
                answer.number("imports").orElse(0),
                answer.number("multicasts").orElse(0),
                answer.number("driver_buffers"),
                ShimStatus.devices(answer.values().get("devices")));
    }

    private static ProcessState state(@Nullable String word) {
        for (ProcessState state :
                List.of(ProcessState.RUNNING, ProcessState.PARKING, ProcessState.PARKED, ProcessState.UNPARKING)) {
            if (state.toString().equals(word)) {
                return state;
            }
        }
        return ProcessState.UNKNOWN;
    }

    private long number(String command, ShimAnswer answer, String name) {
        return answer.number(name)
                .orElseThrow(() -> ShimFailure.lacking(pid, command, name).exception());
    }

    private Phase phase(String command, ShimAnswer answer, String bytes) {
        long nanos = answer.nanos("seconds")
                .orElseThrow(() -> ShimFailure.lacking(pid, command, "seconds").exception());
        return new Phase(
                command, Duration.ofNanos(nanos), OptionalLong.of(number(command, answer, bytes)), parts(answer));
    }

    static List<Phase> parts(ShimAnswer answer) {
        List<Phase> parts = new ArrayList<>();
        for (String part : PARTS) {
            OptionalLong nanos = answer.nanos(part + "_seconds");
            if (nanos.isPresent()) {
                parts.add(Phase.of(part, nanos.getAsLong()));
            }
        }
        return parts;
    }

    /** Like {@code the shim of process 4711}. */
    @Override
    public String toString() {
        return "the shim of process " + pid;
    }
}
