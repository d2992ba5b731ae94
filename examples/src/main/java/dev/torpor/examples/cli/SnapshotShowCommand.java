package dev.torpor.examples.cli;

import com.google.gson.Gson;
import dev.torpor.examples.Sizes;
import dev.torpor.snapshot.Manifest;
import dev.torpor.snapshot.Manifest.Gpu;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Snapshot;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(name = "show", description = "Shows what is in a snapshot. Does not use the driver.")
final class SnapshotShowCommand extends TorporCommand {
    @Parameters(paramLabel = "DIR", description = "Directory of the snapshot.")
    private Path folder = Path.of("");

    @Override
    public Integer call() {
        Manifest manifest = Snapshot.open(folder).manifest();
        if (manifest.simulated() && !json()) {
            line().getErr().println(DriverCommand.SIMULATED);
        }
        print(text(manifest), new Gson().toJsonTree(manifest));
        return ExitCode.OK.code();
    }

    private static String text(Manifest manifest) {
        Table table = new Table("PID", "GPU", "STATE", "SHIM", "DEVICE MEMORY IN", "COMMAND");
        for (Member member : manifest.processes()) {
            table.add(
                    Long.toString(member.pid()),
                    member.gpu() ? "yes" : "no",
                    member.state(),
                    member.shim(),
                    member.deviceMemory().isEmpty() && member.gpu() ? "CRIU's images" : member.deviceMemory(),
                    member.command());
        }
        StringBuilder text = new StringBuilder();
        text.append("saved ").append(manifest.created()).append(" on ").append(manifest.kernel());
        if (!manifest.driver().release().isEmpty()) {
            text.append(", driver ").append(manifest.driver().release());
        }
        text.append("; ").append(manifest.sealed() ? Sizes.text(manifest.bytes()) : "sizes are not known");
        for (Gpu gpu : manifest.gpus()) {
            text.append("\nneeds ")
                    .append(Sizes.text(gpu.bytes()))
                    .append(" on ")
                    .append(gpu.name())
                    .append(", ")
                    .append(gpu.uuid());
        }
        return text.append("\n").append(table).toString();
    }
}
