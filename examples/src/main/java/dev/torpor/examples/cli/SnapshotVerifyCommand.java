package dev.torpor.examples.cli;

import com.google.gson.JsonObject;
import dev.torpor.examples.Sizes;
import dev.torpor.snapshot.Snapshot;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(name = "verify", description = "Compares the files of a snapshot with sizes and checksums. Needs no driver.")
final class SnapshotVerifyCommand extends TorporCommand {
    @Parameters(paramLabel = "FOLDER", description = "Of the snapshot.")
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
