package dev.torpor.examples;

import dev.torpor.contract.Machine;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A program that ran to its end, with the tests' driver in its environment. */
record Run(int code, String out, String err) {
    static Run of(Path directory, List<String> command) throws IOException, InterruptedException {
        return of(directory, Map.of(), command);
    }

    /** With more in its environment. */
    static Run of(Path directory, Map<String, String> environment, List<String> command)
            throws IOException, InterruptedException {
        Path errors = directory.resolve("stderr");
        ProcessBuilder builder =
                new ProcessBuilder(command).directory(directory.toFile()).redirectError(errors.toFile());
        builder.environment().putAll(Machine.environment());
        builder.environment().putAll(environment);
        Process process = builder.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), out, java.nio.file.Files.readString(errors));
    }
}
