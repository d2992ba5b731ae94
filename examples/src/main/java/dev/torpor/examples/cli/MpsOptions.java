package dev.torpor.examples.cli;

import dev.torpor.mps.Mps;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which daemon is meant. */
final class MpsOptions {
    @Option(
            names = "--pipe",
            paramLabel = "DIR",
            description = "The directory of its pipes. Default: CUDA_MPS_PIPE_DIRECTORY, or /tmp/nvidia-mps.")
    private @Nullable Path pipe;

    @Option(
            names = "--log",
            paramLabel = "DIR",
            description = "The directory of its logs. Default: CUDA_MPS_LOG_DIRECTORY, or /var/log/nvidia-mps.")
    private @Nullable Path log;

    @Option(
            names = "--program",
            paramLabel = "FILE",
            description = "The nvidia-cuda-mps-control to run. Default: from PATH, or else /usr/local/nvidia/bin.")
    private @Nullable Path program;

    Mps mps() {
        Mps found = Mps.ofThisProcess();
        Mps mps = Mps.at(pipe == null ? found.pipeFolder() : pipe, log == null ? found.logFolder() : log);
        return program == null ? mps : mps.program(program);
    }
}
