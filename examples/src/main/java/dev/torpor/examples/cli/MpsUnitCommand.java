package dev.torpor.examples.cli;

import com.google.gson.JsonPrimitive;
import dev.torpor.mps.MpsUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

@Command(
        name = "unit",
        description = "Prints a systemd unit for the daemon, for /etc/systemd/system/nvidia-mps.service.")
final class MpsUnitCommand extends TorporCommand {
    @Mixin
    private final MpsOptions options = new MpsOptions();

    @Option(
            names = "--user",
            paramLabel = "NAME",
            description = "The user that the daemon runs as and serves. Default: root, whose daemon serves every user.")
    private @Nullable String user;

    @Override
    public Integer call() {
        try {
            MpsUnit unit = options.mps().unit();
            String text = (user == null ? unit : unit.user(user)).text().stripTrailing();
            print(text, new JsonPrimitive(text));
            return ExitCode.OK.code();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(line(), String.valueOf(e.getMessage()));
        }
    }
}
