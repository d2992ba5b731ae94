package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.TorporException;
import dev.torpor.examples.cli.RunCommand.NotStarted;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileSystemException;
import java.util.Arrays;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** Tells what went wrong, as a sentence on stderr or an object on stdout, and finds the exit code. */
final class Failures implements IParameterExceptionHandler, IExecutionExceptionHandler {
    static final String JSON = "--json";

    private final Torpor torpor;

    Failures(Torpor torpor) {
        this.torpor = torpor;
    }

    @Override
    public int handleParseException(ParameterException failure, String[] args) {
        CommandLine line = failure.getCommandLine();
        String message =
                failure.getMessage() + ". See `" + line.getCommandSpec().qualifiedName() + " --help`.";
        // The options may not have been read as far as this one.
        boolean json = Arrays.asList(args).contains(JSON);
        tell(line, json, Json.error(ExitCode.USAGE.code(), "USAGE", message), message);
        return ExitCode.USAGE.code();
    }

    @Override
    public int handleExecutionException(Exception failure, CommandLine line, ParseResult parsed) {
        if (failure instanceof ParameterException wrong) {
            return handleParseException(wrong, parsed.originalArgs().toArray(new String[0]));
        }
        tell(line, torpor.json(), json(failure), said(failure));
        trace(line, failure);
        return code(failure);
    }

    /** One of several processes failed: to stderr now, or to the array that is printed at the end. */
    void tellNow(CommandLine line, TorporException failure) {
        line.getErr().println("torpor: " + said(failure));
        trace(line, failure);
    }

    private static void tell(CommandLine line, boolean json, JsonObject error, String message) {
        if (json) {
            line.getOut().println(error);
        } else {
            line.getErr().println("torpor: " + message);
        }
    }

    private void trace(CommandLine line, Exception failure) {
        if (torpor.trace()) {
            PrintWriter err = line.getErr();
            failure.printStackTrace(err);
            err.flush();
        }
    }

    JsonObject json(Exception failure) {
        if (failure instanceof NotStarted known) {
            return Json.error(known.code(), "NOT_STARTED", message(known));
        }
        if (!(failure instanceof TorporException known)) {
            return Json.error(ExitCode.UNEXPECTED.code(), "UNEXPECTED", message(failure));
        }
        JsonObject json = Json.error(known);
        json.getAsJsonObject("error").addProperty("exitCode", code(known));
        return json;
    }

    private int code(Exception failure) {
        if (failure instanceof NotStarted known) {
            return known.code();
        }
        ExitCode exit = exitCode(failure);
        return exit == ExitCode.CANCELLED ? torpor.stop().code() : exit.code();
    }

    /** With the signal that stopped a transition. */
    private String said(Exception failure) {
        String signal = torpor.stop().signal();
        return signal != null && exitCode(failure) == ExitCode.CANCELLED
                ? signal + ": " + message(failure)
                : message(failure);
    }

    static ExitCode exitCode(Exception failure) {
        return failure instanceof TorporException known ? ExitCode.of(known.problem()) : ExitCode.UNEXPECTED;
    }

    private static String message(Exception failure) {
        if (failure instanceof TorporException || failure instanceof NotStarted) {
            return String.valueOf(failure.getMessage());
        }
        return (failure instanceof IOException known
                        ? "Reading or writing a file failed: " + file(known) + IoReason.of(known) + "."
                        : "An error in torpor itself: " + failure.getMessage() + ".")
                + " Run it again with --trace and report what that shows.";
    }

    private static String file(IOException failure) {
        return failure instanceof FileSystemException known && known.getFile() != null ? known.getFile() + ": " : "";
    }
}
