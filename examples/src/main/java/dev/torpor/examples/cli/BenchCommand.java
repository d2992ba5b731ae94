package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.examples.SizeConverter;
import dev.torpor.examples.bench.Check;
import dev.torpor.examples.bench.ContainerWorkload;
import dev.torpor.examples.bench.Depth;
import dev.torpor.examples.bench.Experiment;
import dev.torpor.examples.bench.ProgramWorkload;
import dev.torpor.examples.bench.Protocol;
import dev.torpor.examples.bench.TargetProgram;
import dev.torpor.examples.bench.Variant;
import dev.torpor.examples.bench.Workload;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

@Command(
        name = "bench",
        description = {
            "Suspends and resumes a process in several ways alternately and compares their speed with the first one: the driver alone, a"
                    + " keeper, MPS, huge pages, parking, and all of these together.",
            "The process is torpor-target, or the command after --, or at level podman a container: what follows podman run, after --."
        })
final class BenchCommand extends DriverCommand {
    private static final long GPU_BYTES = 8896L << 20;
    private static final long SIMULATED_BYTES = 256L << 20;

    @Option(
            names = "--level",
            paramLabel = "LEVEL",
            split = ",",
            defaultValue = "checkpoint",
            converter = DepthConverter.class,
            description = {
                "checkpoint: suspend and resume. snapshot: to disk and back, by CRIU; snapshot-cold: the same, with an empty page",
                "cache. podman: a container to disk and back.",
                "Separate several by commas. Default: ${DEFAULT-VALUE}."
            })
    private List<Depth> depths = List.of();

    @Option(
            names = "--variants",
            paramLabel = "VARIANT",
            split = ",",
            converter = VariantConverter.class,
            description =
                    "What to compare, separated by commas: alone, keeper, mps-first, mps-warm, huge, parked, together. The first is"
                            + " the baseline. Default: all.")
    private List<Variant> variants = List.of(Variant.values());

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "3",
            description = "Number of rounds of each variant. Default: ${DEFAULT-VALUE}.")
    private int rounds;

    @Option(
            names = "--warm-ups",
            paramLabel = "N",
            defaultValue = "1",
            description = "How often the process of a round is suspended and resumed before it is measured."
                    + " Default: ${DEFAULT-VALUE}.")
    private int warmUps;

    @Option(
            names = "--memory",
            paramLabel = "SIZE",
            converter = SizeConverter.class,
            description = "Device memory of torpor-target. Default: 8896M, simulated 256M.")
    private @Nullable Long memory;

    @Option(
            names = "--target",
            paramLabel = "FILE",
            description = "The program torpor-target. Default: beside torpor, or in native/target/programs.")
    private @Nullable Path target;

    @Option(
            names = "--ready",
            paramLabel = "REGEX",
            converter = PatternConverter.class,
            description = "The command or container is ready when a line of its output or log matches.")
    private @Nullable Pattern ready;

    @Option(
            names = "--check",
            paramLabel = "COMMAND",
            description =
                    "A shell command, run after each resume, that exits with 0 when the process answers correctly."
                            + " TORPOR_BENCH_ID holds the process id or the container's name.")
    private @Nullable String check;

    @Option(
            names = "--start-timeout",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            defaultValue = "10m",
            description = "How long a start or a check may take. Default: ${DEFAULT-VALUE}.")
    private Duration startLimit = Duration.ofMinutes(10);

    @Option(
            names = "--runtime",
            paramLabel = "NAME",
            description = "The OCI runtime that podman uses, for example runc.")
    private @Nullable String runtime;

    @Option(
            names = "--images",
            paramLabel = "DIR",
            description = "Where snapshots are kept during the measurement. Default: the temporary directory.")
    private Path images = Path.of(System.getProperty("java.io.tmpdir"));

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Also write bench.json, bench.md and bench.html into this directory.")
    private @Nullable Path out;

    @Parameters(paramLabel = "COMMAND", arity = "0..*", description = "What to suspend, after --.")
    private List<String> command = List.of();

    private ExitCode exit = ExitCode.OK;

    @Override
    ExitCode run(Cuda cuda) throws IOException {
        checkOptions();
        torpor().stop()
                .cleansUp(
                        "Processes of the measurement may still be there: `torpor ps` lists them; end those that you do not need.");
        makeFolder();
        if (!Files.isDirectory(images)) {
            throw new ParameterException(line(), "--images " + images + " is not a directory");
        }
        Map<String, String> environment = Map.of("TORPOR_LIBCUDA", cuda.library());
        Optional<Path> program = target == null ? TargetProgram.find() : Optional.of(target);
        Experiment.Plan plan =
                new Experiment.Plan(workloads(cuda, program, environment), depths, variants, rounds, warmUps, images);
        new Experiment(cuda, plan, program, environment, this::tell).run(this::take);
        return exit;
    }

    private void checkOptions() {
        if (rounds < 1 || warmUps < 0) {
            throw new ParameterException(line(), "--rounds must be 1 or more, and --warm-ups 0 or more");
        }
        if (!command.isEmpty() && ready == null) {
            throw new ParameterException(
                    line(), "--ready is missing: it says by which line of its output the command is ready");
        }
        if (command.isEmpty() && (ready != null || check != null)) {
            throw new ParameterException(line(), "--ready and --check need a command after --");
        }
        if (!command.isEmpty() && depths.contains(Depth.PODMAN) && depths.size() > 1) {
            throw new ParameterException(
                    line(), "after -- comes a container at level podman and a command at other levels: use one level");
        }
    }

    /** Before the work is done, and not after it. */
    private void makeFolder() {
        try {
            if (out != null) {
                Files.createDirectories(out);
            }
        } catch (IOException e) {
            throw new ParameterException(
                    line(), "--out " + out + " is not a directory and cannot be made: " + IoReason.of(e), e);
        }
    }

    private Map<Depth, Workload> workloads(Cuda cuda, Optional<Path> program, Map<String, String> environment) {
        Map<Depth, Workload> workloads = new EnumMap<>(Depth.class);
        for (Depth depth : depths) {
            if (depth != Depth.PODMAN) {
                workloads.put(depth, ready == null ? target(cuda, program, environment) : command(ready, environment));
            } else if (ready != null) {
                workloads.put(depth, new ContainerWorkload(command, runtime, ready, startLimit, check()));
            }
        }
        return workloads;
    }

    private Workload target(Cuda cuda, Optional<Path> program, Map<String, String> environment) {
        long bytes = memory != null ? memory : cuda.simulated() ? SIMULATED_BYTES : GPU_BYTES;
        return ProgramWorkload.target(program.orElseThrow(TargetProgram::missing), bytes, environment, startLimit);
    }

    private Workload command(Pattern found, Map<String, String> environment) {
        return ProgramWorkload.command(command, environment, found, startLimit, check());
    }

    private Check check() {
        return new Check(check, startLimit);
    }

    private void tell(String progress) {
        if (!json()) {
            print(progress);
        }
    }

    private void take(Protocol protocol) throws IOException {
        print((json() ? "" : "\n") + protocol.text(), protocol.json());
        if (out != null) {
            protocol.write(out);
        }
        exit = protocol.failure()
                .map(Failures::exitCode)
                .orElse(protocol.isMeasured() ? ExitCode.OK : ExitCode.REFUSED);
    }

    static final class DepthConverter implements ITypeConverter<Depth> {
        @Override
        public Depth convert(String text) {
            return Arrays.stream(Depth.values())
                    .filter(depth -> depth.toString().equals(text))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException(
                            "'" + text + "' is not a level: use checkpoint, snapshot, snapshot-cold or podman"));
        }
    }

    static final class VariantConverter implements ITypeConverter<Variant> {
        @Override
        public Variant convert(String text) {
            return Arrays.stream(Variant.values())
                    .filter(variant -> variant.key().equals(text))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException("'" + text + "' is not a variant: use "
                            + String.join(
                                    ", ",
                                    Arrays.stream(Variant.values())
                                            .map(Variant::key)
                                            .toList())));
        }
    }

    static final class PatternConverter implements ITypeConverter<Pattern> {
        @Override
        public Pattern convert(String text) {
            try {
                return Pattern.compile(text);
            } catch (PatternSyntaxException e) {
                throw new TypeConversionException("'" + text + "' is not a regular expression: " + e.getDescription());
            }
        }
    }
}
