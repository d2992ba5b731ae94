package dev.torpor.examples.cli;

import dev.torpor.criu.CriuOptions;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** What CRIU is told, by its own words. */
final class CriuSettings {
    @Option(names = "--tcp-established", description = "With established TCP connections.")
    private boolean tcpEstablished;

    @Option(names = "--shell-job", description = "Although its session leader or terminal is none of the processes.")
    private boolean shellJob;

    @Option(names = "--ext-unix-sk", description = "With datagram sockets connected to other processes' Unix sockets.")
    private boolean extUnixSk;

    @Option(names = "--file-locks", description = "With locks on files.")
    private boolean fileLocks;

    @Option(names = "--criu-option", paramLabel = "WORD", description = "Any other word for CRIU; can be repeated.")
    private List<String> words = new ArrayList<>();

    <T extends CriuOptions<T>> T on(T defaults) {
        T options = tcpEstablished ? defaults.tcpEstablished() : defaults;
        options = shellJob ? options.shellJob() : options;
        options = extUnixSk ? options.extUnixSk() : options;
        options = fileLocks ? options.fileLocks() : options;
        return words.isEmpty() ? options : options.arguments(words.toArray(new String[0]));
    }
}
