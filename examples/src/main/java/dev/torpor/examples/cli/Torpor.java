package dev.torpor.examples.cli;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command line, and the options that every command takes. */
@Command(
        name = "torpor",
        description = "Suspends GPU processes and resumes them.",
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        versionProvider = Torpor.Version.class,
        sortOptions = false,
        usageHelpAutoWidth = true)
public final class Torpor implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--library",
            paramLabel = "PATH",
            scope = ScopeType.INHERIT,
            description = "The CUDA driver library. Default: libcuda.so.1 from the search path of the loader.")
    private @Nullable String library;

    @Option(
            names = "--provider",
            paramLabel = "NAME",
            scope = ScopeType.INHERIT,
            description = "The Java binding: ffm or jna. Default: ffm from Java 22 on.")
    private @Nullable String provider;

    @Option(
            names = Failures.JSON,
            scope = ScopeType.INHERIT,
            description = "Print one JSON value on stdout, also for an error; docs/torpor.schema.json describes it.")
    private boolean json;

    @Option(names = "--trace", scope = ScopeType.INHERIT, description = "Show stack traces of errors.")
    private boolean trace;

    private final StopRequest stop = new StopRequest();

    private Torpor() {}

    /** Runs the command line as a process: with its signals, and with an exit code that tells if its output was lost. */
    public static void main(String[] args) {
        Torpor torpor = new Torpor();
        CommandLine line = commandLine(torpor);
        StandardOutput out = new StandardOutput();
        line.setOut(out.writer());
        torpor.stop.install(sentence -> line.getErr().println("torpor: " + sentence));
        System.exit(torpor.finished(line.execute(args), line, out));
    }

    /** The exit code at the end: what was lost on the way does not hide an error that came first. */
    private int finished(int code, CommandLine line, StandardOutput out) {
        if (stop.cameTooLate() && code == ExitCode.OK.code()) {
            line.getErr().println("torpor: " + stop.signal() + " came after the last step: it was finished.");
        }
        if (!line.getOut().checkError()) {
            return code;
        }
        line.getErr()
                .println("torpor: The output was lost, as stdout cannot be written (" + out.failure() + ")"
                        + (code == ExitCode.OK.code() ? "; the command itself is done." : "."));
        return code == ExitCode.OK.code() ? ExitCode.OUTPUT.code() : code;
    }

    static CommandLine commandLine() {
        return commandLine(new Torpor());
    }

    private static CommandLine commandLine(Torpor torpor) {
        CommandLine line = new CommandLine(torpor);
        line.addSubcommand("devices", new DevicesCommand());
        line.addSubcommand("ps", new PsCommand());
        line.addSubcommand("state", new StateCommand());
        line.addSubcommand("suspend", new SuspendCommand());
        line.addSubcommand("resume", new ResumeCommand());
        line.addSubcommand("toggle", new ToggleCommand());
        line.addSubcommand("park", new ParkCommand());
        line.addSubcommand("unpark", new UnparkCommand());
        line.addSubcommand("prepare", new PrepareCommand());
        line.addSubcommand("release", new ReleaseCommand());
        line.addSubcommand("stats", new StatsCommand());
        line.addSubcommand("lock", new LockCommand());
        line.addSubcommand("checkpoint", new CheckpointCommand());
        line.addSubcommand("restore", new RestoreCommand());
        line.addSubcommand("unlock", new UnlockCommand());
        line.addSubcommand("warmup", new WarmUpCommand());
        line.addSubcommand("keep", new KeepCommand());
        line.addSubcommand("snapshot", SnapshotGroup.line());
        line.addSubcommand("mps", MpsGroup.line());
        line.addSubcommand(
                "run", new CommandLine(new RunCommand()).setStopAtPositional(true)); // the rest is its command's
        line.addSubcommand("podman", PodmanGroup.line());
        line.addSubcommand(
                "bench", new CommandLine(new BenchCommand()).setStopAtPositional(true)); // the rest is its command's
        line.registerConverter(Long.class, new Numbers.Pid());
        line.registerConverter(long.class, new Numbers.Pid());
        line.registerConverter(Integer.class, new Numbers.Count());
        line.registerConverter(int.class, new Numbers.Count());
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setExpandAtFiles(false);
        Failures failures = new Failures(torpor);
        line.setParameterExceptionHandler(failures);
        line.setExecutionExceptionHandler(failures);
        line.getCommandSpec()
                .usageMessage()
                .exitCodeListHeading("%nExit codes; of several failures, the first one's:%n")
                .exitCodeList(ExitCode.list());
        return line;
    }

    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "Missing command");
    }

    Cuda open() {
        CudaOptions options = CudaOptions.defaults();
        if (library != null) {
            options = options.library(library);
        }
        if (provider != null) {
            options = options.provider(provider);
        }
        return Cuda.open(options);
    }

    StopRequest stop() {
        return stop;
    }

    boolean json() {
        return json;
    }

    boolean trace() {
        return trace;
    }

    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = Torpor.class.getPackage().getImplementationVersion();
            return new String[] {
                "torpor " + (version == null ? "(not packaged)" : version) + ", Java "
                        + Runtime.version().feature()
            };
        }
    }
}
