package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import dev.torpor.Cuda;
import dev.torpor.ProcessInfo;
import dev.torpor.examples.Sizes;
import picocli.CommandLine.Command;

@Command(name = "ps", description = "Lists the processes that use CUDA, including suspended and parked ones.")
final class PsCommand extends DriverCommand {
    @Override
    ExitCode run(Cuda cuda) {
        Table table = new Table("PID", "STATE", "MEMORY", "NOTE", "COMMAND");
        JsonArray all = new JsonArray();
        for (ProcessInfo process : cuda.processes()) {
            table.add(
                    Long.toString(process.pid()),
                    process.state().toString(),
                    Sizes.text(process.deviceBytes()),
                    process.note(),
                    process.command());
            all.add(Json.of(process, cuda.simulated()));
        }
        tellSimulated(cuda);
        print(table.toString(), all);
        return ExitCode.OK;
    }
}
