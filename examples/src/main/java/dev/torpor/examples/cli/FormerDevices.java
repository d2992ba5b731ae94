package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuDevice;
import dev.torpor.GpuUuid;
import dev.torpor.Resume;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** On which GPUs a process was when it was suspended. */
final class FormerDevices {
    @Option(
            names = "--device",
            paramLabel = "GPU",
            split = ",",
            description =
                    "The GPU that the process was on when it was suspended, if no record tells: a UUID or an ordinal, as"
                            + " `torpor devices` lists them; several separated by commas.")
    private @Nullable List<String> names;

    @Spec(Spec.Target.MIXEE)
    private @Nullable CommandSpec command;

    Resume on(Cuda cuda, Resume options) {
        List<String> given = names;
        if (given == null) {
            return options;
        }
        List<GpuUuid> devices = new ArrayList<>();
        for (String name : given) {
            devices.add(named(name.strip(), cuda.devices()));
        }
        return options.onDevices(devices);
    }

    private GpuUuid named(String name, List<GpuDevice> here) {
        for (GpuDevice device : here) {
            if (name.equals(Integer.toString(device.ordinal()))
                    || name.equalsIgnoreCase(device.uuid().toString())) {
                return device.uuid();
            }
        }
        String sentence = "--device: '" + name + "' is neither the ordinal nor the UUID of one of the " + here.size()
                + " GPUs here; `torpor devices` lists both.";
        CommandSpec given = command;
        throw given == null
                ? new IllegalArgumentException(sentence)
                : new ParameterException(given.commandLine(), sentence);
    }
}
