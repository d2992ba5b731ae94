package dev.torpor.examples.cli;

import com.google.gson.JsonElement;
import dev.torpor.Cuda;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** A command that uses the driver. */
abstract class DriverCommand implements Callable<Integer> {
    static final String SIMULATED = "SIMULATED: this driver is Torpor's simulator, and no GPU is behind it.";

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Override
    public final Integer call() throws Exception {
        try (Cuda cuda = torpor().open()) {
            return run(cuda).code();
        }
    }

    abstract ExitCode run(Cuda cuda) throws Exception;

    private Torpor torpor() {
        return (Torpor) spec.root().userObject();
    }

    boolean json() {
        return torpor().json();
    }

    CommandLine line() {
        return spec.commandLine();
    }

    void print(Object text) {
        line().getOut().println(text);
    }

    /** Prints what the user asked for. */
    void print(String text, JsonElement json) {
        print(json() ? json : text);
    }
}
