package dev.torpor.examples.cli;

import static dev.torpor.Problem.ARENA;
import static dev.torpor.Problem.CLOSED;
import static dev.torpor.Problem.DEVICE_MAP;
import static dev.torpor.Problem.DEVICE_MEMORY;
import static dev.torpor.Problem.DRIVER_TOO_OLD;
import static dev.torpor.Problem.HOST_MEMORY;
import static dev.torpor.Problem.MPS_CLIENT;
import static dev.torpor.Problem.NOT_A_CUDA_PROCESS;
import static dev.torpor.Problem.NOT_SUPPORTED;
import static dev.torpor.Problem.NO_DRIVER;
import static dev.torpor.Problem.NO_SUCH_DEVICE;
import static dev.torpor.Problem.NO_SUCH_PROCESS;
import static dev.torpor.Problem.PROCESS_REPLACED;

import dev.torpor.Problem;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** What the command line ends with: a code for each group of problems that a script would treat alike. */
enum ExitCode {
    OK(0, "done"),
    UNEXPECTED(1, "an error in torpor itself", CLOSED),
    USAGE(2, "the command line is wrong"),
    NO_GPU(3, "no driver, one that is too old, or no such GPU", NO_DRIVER, DRIVER_TOO_OLD, NO_SUCH_DEVICE),
    NO_PROCESS(4, "no such process, or it does not use CUDA", NO_SUCH_PROCESS, PROCESS_REPLACED, NOT_A_CUDA_PROCESS),
    NO_PERMISSION(5, "the process belongs to another user", Problem.NO_PERMISSION),
    WRONG_STATE(6, "the process is in the wrong state for this command", Problem.WRONG_STATE),
    REFUSED(
            7,
            "refused: not enough memory, a file, the device map, MPS, or something that the process uses",
            HOST_MEMORY,
            DEVICE_MEMORY,
            DEVICE_MAP,
            MPS_CLIENT,
            NOT_SUPPORTED,
            ARENA),
    LOCK_TIMEOUT(8, "the GPU work of the process did not pause in time; it runs on", Problem.LOCK_TIMEOUT),
    RESTORE_FAILED(9, "the driver refused to restore the process", Problem.RESTORE_FAILED),
    UNRESPONSIVE(10, "the driver or the shim did not return in time", Problem.UNRESPONSIVE),
    DRIVER(11, "a call of the driver failed for another reason", Problem.DRIVER),
    NO_SHIM(12, "the shim is missing, cannot be used, or gave a wrong answer", Problem.NO_SHIM, Problem.SHIM),
    TOOL(13, "a program that is needed is missing or failed", Problem.TOOL_MISSING, Problem.TOOL),
    SNAPSHOT(14, "a snapshot is unfinished, damaged, or does not fit this host", Problem.SNAPSHOT),
    OUTPUT(15, "done, but the output could not be written"),
    CANCELLED(130, "a signal stopped it, and it was undone; 129 for SIGHUP, 143 for SIGTERM", Problem.CANCELLED);

    private final int code;
    private final String meaning;
    private final Set<Problem> problems;

    ExitCode(int code, String meaning, Problem... problems) {
        this.code = code;
        this.meaning = meaning;
        this.problems = Set.of(problems);
    }

    int code() {
        return code;
    }

    String meaning() {
        return meaning;
    }

    Set<Problem> problems() {
        return problems;
    }

    static ExitCode of(Problem problem) {
        for (ExitCode exit : values()) {
            if (exit.problems.contains(problem)) {
                return exit;
            }
        }
        return UNEXPECTED;
    }

    /** For the help text. */
    static Map<String, String> list() {
        Map<String, String> list = new LinkedHashMap<>();
        for (ExitCode exit : values()) {
            list.put(String.format("%2d", exit.code), exit.meaning);
        }
        return list;
    }
}
