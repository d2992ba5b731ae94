package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.TorporException;
import java.util.List;
import picocli.CommandLine.Parameters;

/** A command on processes: one after the other, and on after a failure. Its JSON is an array, of one process as well. */
abstract class ProcessCommand extends DriverCommand {
    /** What came of one process, in both languages. */
    record Answer(String text, JsonObject json) {}

    @Parameters(paramLabel = "PID", arity = "1..*", description = "Process ids.")
    private List<Long> pids = List.of();

    /** Reads options that need the driver, once for all processes. */
    void prepare(Cuda cuda) {}

    abstract Answer run(Cuda cuda, long pid);

    @Override
    final ExitCode run(Cuda cuda) {
        prepare(cuda);
        JsonArray all = new JsonArray();
        ExitCode exit = ExitCode.OK;
        for (long pid : pids) {
            try {
                Answer answer = run(cuda, pid);
                all.add(answer.json);
                if (!json()) {
                    print(pids.size() == 1 ? answer.text : pid + ": " + answer.text);
                }
            } catch (TorporException e) {
                exit = exit == ExitCode.OK ? Failures.exitCode(e) : exit;
                all.add(failed(pid, e));
            }
        }
        if (json()) {
            print(all);
        }
        return exit;
    }

    private JsonObject failed(long pid, TorporException failure) {
        if (!json()) {
            ((Failures) line().getExecutionExceptionHandler()).tellNow(line(), failure);
        }
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.add("error", Failures.json(failure).get("error"));
        return json;
    }
}
