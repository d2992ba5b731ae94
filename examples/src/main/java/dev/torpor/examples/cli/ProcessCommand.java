package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.TorporException;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Parameters;

/**
 * A command on one process or several. A pid that is given twice counts once. A process for which the command fails does not keep it
 * from the others, and the exit code is that of the first failure, in the order of the pids. The JSON is an array, of one process as well.
 */
abstract class ProcessCommand extends DriverCommand {
    /** The answer for one process, as text and as JSON. */
    record Answer(String text, JsonObject json) {}

    /** The result for one process: either of the two. */
    record Result(@Nullable Answer answer, @Nullable TorporException failure) {}

    @Parameters(paramLabel = "PID", arity = "1..*", description = "Process ids. Each counts once.")
    private List<Long> pids = List.of();

    /** Reads options that need the driver, once for all processes. */
    void prepare(Cuda cuda) {}

    /** The answer for one process; not called where {@link #results} is replaced. */
    Answer run(Cuda cuda, long pid) {
        throw new IllegalStateException();
    }

    /** A result for each process. */
    Map<Long, Result> results(Cuda cuda, List<Long> distinct) {
        Map<Long, Result> results = new LinkedHashMap<>();
        for (long pid : distinct) {
            try {
                results.put(pid, new Result(run(cuda, pid), null));
            } catch (TorporException e) {
                results.put(pid, new Result(null, e));
            }
        }
        return results;
    }

    @Override
    final ExitCode run(Cuda cuda) {
        prepare(cuda);
        List<Long> distinct = List.copyOf(new LinkedHashSet<>(pids));
        Map<Long, Result> results = results(cuda, distinct);
        return printAll(distinct, results);
    }

    private ExitCode printAll(List<Long> distinct, Map<Long, Result> results) {
        JsonArray all = new JsonArray();
        ExitCode exit = ExitCode.OK;
        for (long pid : distinct) {
            Result result = results.get(pid);
            if (result != null && result.answer != null) {
                all.add(result.answer.json);
                if (!json()) {
                    print(distinct.size() == 1 ? result.answer.text : pid + ": " + result.answer.text);
                }
            } else if (result != null && result.failure != null) {
                exit = exit == ExitCode.OK ? Failures.exitCode(result.failure) : exit;
                all.add(failed(pid, result.failure));
            }
        }
        if (json()) {
            print(all);
        }
        return exit;
    }

    private JsonObject failed(long pid, TorporException failure) {
        Failures failures = (Failures) line().getExecutionExceptionHandler();
        if (!json()) {
            failures.tellNow(line(), failure);
        }
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.add("error", failures.json(failure).get("error"));
        return json;
    }
}
