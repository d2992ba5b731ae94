package dev.torpor;

import dev.torpor.tools.ProcFs;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What it means that the shim refuses a command, or does not answer it, and what to do about it. */
final class ShimFailure {
    private static final String MIXED = "Restart the process with the shim of this version of Torpor.";

    private static final Pattern DEVICE = Pattern.compile("^bytes on device (\\d{1,4})\\b");
    private static final Set<String> QUESTIONS = Set.of("status", "stats");

    private ShimFailure() {}

    /** The shim said no. The process is where it was. */
    static Failure refused(long pid, String command, ShimAnswer answer) {
        String words = answer.words();
        String said = call(pid, command) + " failed: the shim answers " + answer.code()
                + (words.isEmpty() ? "" : ", " + words) + ". ";
        return switch (answer.code()) {
            case "busy" ->
                command.equals("park")
                        ? new Failure(
                                Problem.LOCK_TIMEOUT,
                                said + "Try again when it is idle, or allow a longer lock timeout.")
                        : new Failure(Problem.WRONG_STATE, said + "Try again when it is done.");
            case "parked", "running" ->
                new Failure(Problem.WRONG_STATE, said + "Ask for its state and go on from there.");
            case "device-memory" ->
                new Failure(
                        Problem.DEVICE_MEMORY,
                        missing(pid, command, answer).orElse(said) + "Free device memory, and do it again.");
            case "host-memory" ->
                new Failure(
                        Problem.HOST_MEMORY,
                        said + "Free host memory, raise the limit of its cgroup, or give it a folder to park into.");
            case "arena" ->
                new Failure(
                        Problem.ARENA,
                        said
                                + (command.equals("unpark")
                                        ? "Name the directory that its files are in."
                                        : "Name a folder that is there, without such files in it, where there is room."));
            case "off" ->
                new Failure(
                        Problem.NOT_SUPPORTED,
                        said + "It can be checkpointed by the driver alone, or be started with parking allowed.");
            case "permission" ->
                new Failure(Problem.NO_PERMISSION, said + "Run as the user of the process, or as root.");
            case "driver", "lost" -> new Failure(Problem.DRIVER, said.strip());
            default -> new Failure(Problem.SHIM, said + MIXED);
        };
    }

    /** The shim writes {@code missing=N bytes on device D.}, which is said as a sentence here; empty if it does not tell how much. */
    private static Optional<String> missing(long pid, String command, ShimAnswer answer) {
        OptionalLong missing = answer.missing();
        if (missing.isEmpty() || missing.getAsLong() == 0) {
            return Optional.empty();
        }
        Matcher device = DEVICE.matcher(answer.words());
        return Optional.of(call(pid, command) + " failed: " + Sizes.text(missing.getAsLong())
                + " of device memory are missing" + (device.find() ? " on its GPU " + device.group(1) : "") + ". ");
    }

    /** No answer came. */
    static Failure of(ProcFs proc, long pid, String command, ShimTrouble trouble) {
        String said = call(pid, command) + " failed: " + trouble.reason() + ". ";
        if (proc.startTime(pid) < 0) {
            return new Failure(Problem.NO_SUCH_PROCESS, said + "The process has ended.");
        }
        boolean isQuestion = QUESTIONS.contains(command);
        return switch (trouble.kind()) {
            case ABSENT -> new Failure(Problem.NO_SHIM, said + whyAbsent(proc, pid));
            case DENIED -> new Failure(Problem.NO_PERMISSION, said + Preflight.runAsItsUser(proc, pid));
            case SILENT ->
                new Failure(
                        Problem.UNRESPONSIVE,
                        said
                                + (isQuestion
                                        ? "Nothing was changed: check that the process is not stopped (SIGSTOP), and ask again."
                                        : "It may still be done: ask for the state, and go on from there."));
            case BROKEN ->
                new Failure(
                        Problem.SHIM,
                        said
                                + (isQuestion
                                        ? "Nothing was changed: ask again. If it happens again, restart the process with the shim of this"
                                                + " version of Torpor."
                                        : "Ask for the state, and go on from there."));
        };
    }

    private static String whyAbsent(ProcFs proc, long pid) {
        Optional<Shim.Loaded> loaded;
        try {
            loaded = new ShimScan(proc).of(pid);
        } catch (TorporException e) {
            return "Whether the process carries the shim cannot be told.";
        }
        return loaded.isPresent()
                ? "It carries the shim " + loaded.get().version()
                        + ", which listens once it has initialised CUDA, if its folder can be made; it says on its stderr"
                        + " what keeps it from that."
                : "The process carries no shim: start it with `torpor run`, or preload the shim.";
    }

    /** A success that lacks what makes it one. */
    static Failure lacking(long pid, String command, String name) {
        return new Failure(
                Problem.SHIM, call(pid, command) + " failed: the shim's answer lacks " + name + ". " + MIXED);
    }

    private static String call(long pid, String command) {
        return command + "(pid " + pid + ")";
    }
}
