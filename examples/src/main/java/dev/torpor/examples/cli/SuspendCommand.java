package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.GpuGroup;
import dev.torpor.GpuProcess;
import dev.torpor.GroupResult;
import dev.torpor.Level;
import dev.torpor.Suspend;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;

@Command(
        name = "suspend",
        description = "Suspends running, parked or locked processes: their device memory moves to the host.")
final class SuspendCommand extends TransitionCommand {
    @Option(
            names = "--level",
            paramLabel = "LEVEL",
            defaultValue = "checkpoint",
            converter = Levels.class,
            description = {
                "checkpoint: everything leaves the GPU. A process that runs with the shim is parked first, which is faster.",
                "park: the application's memory leaves the GPU, contexts stay. Requires the shim. Default: ${DEFAULT-VALUE}."
            })
    private Level level = Level.CHECKPOINT;

    @Mixin
    private final DriverOnly driverOnly = new DriverOnly();

    @Mixin
    private final SuspendOptions suspend = new SuspendOptions();

    private Suspend options = Suspend.to(Level.CHECKPOINT);

    static final class Levels implements ITypeConverter<Level> {
        @Override
        public Level convert(String text) {
            for (Level level : Level.values()) {
                if (level.name().toLowerCase(Locale.ROOT).equals(text)) {
                    return level;
                }
            }
            throw new TypeConversionException("'" + text + "' is not a level: use park or checkpoint");
        }
    }

    @Override
    void prepare(Cuda cuda) {
        options = suspend.on(Suspend.to(level), line());
        try {
            options = driverOnly.on(options);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    line(), "--driver-only and --level park exclude each other: parking is the shim's work", e);
        }
    }

    @Override
    void prepare(GpuProcess process) {
        suspend.prepare(process, several());
    }

    @Override
    void unchanged(GpuProcess process) {
        suspend.unchanged(process, several());
    }

    @Override
    List<GroupResult> run(GpuGroup group) {
        return group.suspendEach(process -> watched(suspend.on(options, process, several()), process));
    }
}
