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
            "Suspends and wakes a process in several ways by turns, and tells how fast each is, beside the first one: the driver alone, a"
                    + " keeper, MPS, huge pages, parking, and all that helps together.",
            "The process is torpor-target, or a command behind --, or at level podman a container, as for podman run, behind --."
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
                "checkpoint: suspend and resume. snapshot: to disk and back, by CRIU; snapshot-cold: the same, with nothing of it",
                "in the page cache. podman: a container to disk and back.",
                "Several with commas. Default: ${DEFAULT-VALUE}."
            })
    private List<Depth> depths = List.of();

    @Option(
            names = "--variants",
            paramLabel = "VARIANT",
            split = ",",
            converter = VariantConverter.class,
            description =
                    "Which, with commas, of alone, keeper, mps-first, mps-warm, huge, parked, together; the first is what the"
                            + " others are compared with. Default: all.")
    private List<Variant> variants = List.of(Variant.values());

    @Option(
            names = "--rounds",
            paramLabel = "N",
            defaultValue = "3",
            description = "How often each. Default: ${DEFAULT-VALUE}.")
    private int rounds;

    @Option(
            names = "--warm-ups",
            paramLabel = "N",
            defaultValue = "1",
            description = "How often the process of a round is suspended and woken before the time that counts."
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
            description = "The command is ready when this is found in a line of its output, the container in its log.")
    private @Nullable Pattern ready;

    @Option(
            names = "--check",
            paramLabel = "COMMAND",
            description = "Run by sh after each wake-up, and must end with 0: then the first verified word is there."
                    + " TORPOR_BENCH_ID is the process id or the container's name.")
    private @Nullable String check;

    @Option(
            names = "--start-timeout",
            paramLabel = "TIME",
            converter = Durations.Any.class,
            defaultValue = "10m",
            description = "How long a start, or a check, may take. Default: ${DEFAULT-VALUE}.")
    private Duration startLimit = Duration.ofMinutes(10);

    @Option(names = "--runtime", paramLabel = "NAME", description = "podman's OCI runtime, like runc.")
    private @Nullable String runtime;

    @Option(
            names = "--images",
            paramLabel = "DIR",
            description = "Where snapshots are while they are needed. Default: the folder for temporary files.")
    private Path images = Path.of(System.getProperty("java.io.tmpdir"));

    @Option(names = "--out", paramLabel = "DIR", description = "Write bench.json, bench.md and bench.html, too.")
    private @Nullable Path out;

    @Parameters(paramLabel = "COMMAND", arity = "0..*", description = "What to suspend, behind --.")
    private List<String> command = List.of();

    private ExitCode exit = ExitCode.OK;

    @Override
    ExitCode run(Cuda cuda) throws IOException {
        checkOptions();
        makeFolder();
        if (!Files.isDirectory(images)) {
            throw new ParameterException(line(), "--images " + images + " is no folder");
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
            throw new ParameterException(line(), "--rounds is 1 or more, and --warm-ups is 0 or more");
        }
        if (!command.isEmpty() && ready == null) {
            throw new ParameterException(line(), "--ready must tell by which line of its output the command is ready");
        }
        if (command.isEmpty() && (ready != null || check != null)) {
            throw new ParameterException(line(), "--ready and --check are for a command, which has to be behind --");
        }
        if (!command.isEmpty() && depths.contains(Depth.PODMAN) && depths.size() > 1) {
            throw new ParameterException(
                    line(), "what is behind -- is a container at level podman and a command elsewhere: use one level");
        }
    }

    /** Before the work is done, and not after it. */
    private void makeFolder() {
        try {
            if (out != null) {
                Files.createDirectories(out);
            }
        } catch (IOException e) {
            throw new ParameterException(line(), "--out " + out + " is no folder and cannot be made: " + e, e);
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
                throw new TypeConversionException("'" + text + "' is no regular expression: " + e.getDescription());
            }
        }
    }
}
