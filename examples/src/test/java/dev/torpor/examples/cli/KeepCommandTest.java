package dev.torpor.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonParser;
import dev.torpor.contract.Machine;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PipedReader;
import java.io.PipedWriter;
import java.io.PrintWriter;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import picocli.CommandLine;

@Timeout(60)
class KeepCommandTest {
    private final PipedWriter out = new PipedWriter();
    private final CompletableFuture<Integer> code = new CompletableFuture<>();

    private String firstLineOf(String... arguments) throws Exception {
        try (BufferedReader reader = new BufferedReader(new PipedReader(out))) {
            CommandLine line = Torpor.commandLine();
            line.setOut(new PrintWriter(out, true));
            Thread keeper = new Thread(() -> code.complete(line.execute(arguments)));
            keeper.start();
            String ready = readLine(reader);
            assertThat(code).isNotDone();
            keeper.interrupt();
            assertThat(code.get(30, TimeUnit.SECONDS)).isZero();
            return ready;
        }
    }

    private static String readLine(BufferedReader reader) throws IOException {
        String line = reader.readLine();
        return line == null ? "" : line;
    }

    @Test
    void staysAfterOneLine() throws Exception {
        assertThat(firstLineOf("--library", Machine.libcuda(), "keep"))
                .startsWith("READY ")
                .contains("device 0: ");
    }

    @Test
    void saysReadyInJson() throws Exception {
        String ready = firstLineOf("--library", Machine.libcuda(), "keep", "--device", "0", "--json");
        JsonSchema.assertHolds("keep", ready + "\n");
        assertThat(JsonParser.parseString(ready).getAsJsonObject().get("ready").getAsBoolean())
                .isTrue();
    }
}
