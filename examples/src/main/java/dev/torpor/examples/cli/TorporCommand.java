package dev.torpor.examples.cli;

import com.google.gson.JsonElement;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** A command that prints what the user asked for, as text or as JSON. */
abstract class TorporCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    Torpor torpor() {
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
