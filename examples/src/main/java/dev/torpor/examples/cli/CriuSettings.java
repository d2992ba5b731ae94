package dev.torpor.examples.cli;

import dev.torpor.criu.CriuOptions;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** What CRIU is told, by its own words. */
final class CriuSettings {
    @Option(
            names = "--tcp-established",
            description = "Also with established TCP connections. Give it to the load, too.")
    private boolean tcpEstablished;

    @Option(
            names = "--shell-job",
            description =
                    "Also if the session leader or the terminal is not part of the snapshot. Give it to the load, too.")
    private boolean shellJob;

    @Option(
            names = "--ext-unix-sk",
            description = "Also with datagram sockets connected to Unix sockets of other processes.")
    private boolean extUnixSk;

    @Option(names = "--file-locks", description = "Also with locks on files. Give it to the load, too.")
    private boolean fileLocks;

    @Option(
            names = "--criu-option",
            paramLabel = "WORD",
            description = "Any other option of CRIU, one word each. Can be repeated.")
    private List<String> words = new ArrayList<>();

    <T extends CriuOptions<T>> T on(T defaults) {
        T options = tcpEstablished ? defaults.tcpEstablished() : defaults;
        options = shellJob ? options.shellJob() : options;
        options = extUnixSk ? options.extUnixSk() : options;
        options = fileLocks ? options.fileLocks() : options;
        return words.isEmpty() ? options : options.arguments(words.toArray(new String[0]));
    }
}
