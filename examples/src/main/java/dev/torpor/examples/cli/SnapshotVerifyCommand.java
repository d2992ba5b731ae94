package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.examples.Sizes;
import dev.torpor.snapshot.Snapshot;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
        name = "verify",
        description = "Compares the files of a snapshot with their sizes and checksums. Does not use the driver.")
final class SnapshotVerifyCommand extends TorporCommand {
    @Parameters(paramLabel = "DIR", description = "Directory of the snapshot.")
    private Path folder = Path.of("");

    @Override
    public Integer call() {
        Snapshot snapshot = Snapshot.open(folder);
        long compared = snapshot.verify();
        long all = snapshot.manifest().bytes();
        JsonObject json = new JsonObject();
        json.addProperty("bytes", all);
        json.addProperty("comparedBytes", compared);
        String text = compared == all
                ? "all " + Sizes.text(all) + " are as they were saved"
                : "sizes are as they were saved; " + Sizes.text(all - compared) + " have no checksum";
        print(text, json);
        return ExitCode.OK.code();
    }
}
