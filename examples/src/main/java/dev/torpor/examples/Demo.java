package dev.torpor.examples;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.Cuda;
import dev.torpor.GpuProcess;
import dev.torpor.Level;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Suspend;
import dev.torpor.TorporException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Suspends a process that fills a GPU, shows that the GPU is free, resumes it, and has every word of its memory checked. */
@Command(
        name = "demo",
        description =
                "Suspends a process that fills a GPU, shows that the GPU is free, resumes it, and has its memory checked.",
        mixinStandardHelpOptions = true,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {" 0:all went well", " 1:something did not", " 2:the command line cannot be understood"})
public final class Demo implements Callable<Integer> {
    private static final long GPU_BYTES = 8896L << 20;
    private static final long SIMULATED_BYTES = 1L << 30;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--memory",
            paramLabel = "SIZE",
            converter = SizeConverter.class,
            description = "Device memory of the process. Default: 8896M, simulated 1G.")
    private @Nullable Long memory;

    @Option(names = "--rounds", defaultValue = "2", description = "How often. Default: ${DEFAULT-VALUE}.")
    private int rounds;

    @Option(
            names = "--native",
            paramLabel = "DIR",
            defaultValue = "native/target",
            description = "Output of the module native. Default: ${DEFAULT-VALUE}.")
    private Path natives = Path.of("native/target");

    @Option(
            names = "--machine",
            defaultValue = "auto",
            description = "${COMPLETION-CANDIDATES}. Default: the GPU, or the simulator where there is none.")
    private DemoMachine.Wanted wanted = DemoMachine.Wanted.auto;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the results to a file, too.")
    private @Nullable Path json;

    private final List<DemoRound> done = new ArrayList<>();

    private Demo() {}

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        CommandLine line = new CommandLine(new Demo());
        line.setExecutionExceptionHandler((failure, failed, parsed) -> {
            failed.getErr().println("demo: " + failure.getMessage());
            return 1;
        });
        return line;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        Optional<DemoMachine> chosen = DemoMachine.choose(wanted, natives);
        if (chosen.isEmpty()) {
            return SimulatorDirectory.again(
                    Demo.class, spec.commandLine().getParseResult().originalArgs());
        }
        try (DemoMachine machine = chosen.get()) {
            boolean good = show(machine);
            writeJson(machine, good);
            return good ? 0 : 1;
        }
    }

    private boolean show(DemoMachine machine) throws IOException {
        long bytes = memory != null ? memory : machine.simulated() ? SIMULATED_BYTES : GPU_BYTES;
        introduce(machine);
        try (DemoTarget target = DemoTarget.start(natives.resolve("programs"), machine.environment(), bytes)) {
            say("target    pid %d: %s filled with a pattern by a kernel", target.pid(), Sizes.text(bytes));
            GpuProcess process = machine.cuda().process(target.pid());
            say("holds     %s of device memory", held(process));
            try {
                for (int round = 1; round <= rounds; round++) {
                    say("%nround %d%s", round, round == 1 ? ", cold" : ", warm");
                    done.add(round(machine, target, process));
                }
            } finally {
                leaveRunning(process);
            }
        }
        return summary(bytes);
    }

    private void introduce(DemoMachine machine) {
        Cuda cuda = machine.cuda();
        if (machine.simulated()) {
            say("==================  S I M U L A T E D  ==================");
            say("%s", machine.reason());
            say("No time below says anything about a GPU.");
            say("=========================================================");
        }
        say(
                "driver    %s through %s, CUDA %d.%d, Java %d",
                cuda.library(),
                cuda.provider(),
                cuda.driverVersion() / 1000,
                cuda.driverVersion() % 1000 / 10,
                Runtime.version().feature());
        say(
                "GPU       %s, %s, %s",
                machine.device().name(),
                machine.device().uuid(),
                Sizes.text(machine.device().totalBytes()));
    }

    private DemoRound round(DemoMachine machine, DemoTarget target, GpuProcess process) {
        Optional<Long> before = free(machine);
        Report down = process.suspend(Suspend.to(Level.CHECKPOINT).lockTimeout(Duration.ofSeconds(10)));
        say("  suspend   %s", down);
        Optional<Long> between = free(machine);
        say("  GPU free  %s before, %s now", text(before), text(between));
        ProcessState state = process.state();
        say("  state     %s", state);
        Report up = process.resume();
        say("  resume    %s", up);
        String check = target.check();
        say("  check     %s", check);
        return new DemoRound(down, before, between, state, up, check);
    }

    /** A target that stays suspended could not quit. */
    private void leaveRunning(GpuProcess process) {
        try {
            if (!process.state().equals(ProcessState.RUNNING)) {
                process.resume();
            }
        } catch (TorporException e) {
            say("  the target could not be resumed: %s", String.valueOf(e.getMessage()));
        }
    }

    private boolean summary(long bytes) {
        boolean good = done.size() == rounds;
        say("%n          suspend  of it driver  outside    resume  of it driver  outside   memory");
        for (int i = 0; i < done.size(); i++) {
            DemoRound round = done.get(i);
            good &= round.good(bytes);
            say(
                    "round %-3d %s   %s  %s",
                    i + 1, times(round.suspend()), times(round.resume()), round.verified() ? "verified" : "DAMAGED");
            if (!round.freed(bytes)) {
                say("round %d: the device memory did not come free", i + 1);
            }
        }
        say(good ? "%nAll went well." : "%nSOMETHING WENT WRONG.");
        return good;
    }

    private static String times(Report report) {
        return String.format(
                "%7.1f ms  %7.1f ms %5.2f ms",
                millis(report.total()), millis(report.driverTime()), millis(report.outsideDriver()));
    }

    private static double millis(Duration duration) {
        return duration.toNanos() / 1e6;
    }

    private static Optional<Long> free(DemoMachine machine) {
        return machine.cuda().freeBytes(machine.device().uuid());
    }

    private static String held(GpuProcess process) {
        long sum = 0;
        for (long bytes : process.deviceMemory().values()) {
            sum += bytes;
        }
        return sum == 0 ? "an unknown part" : Sizes.text(sum);
    }

    private static String text(Optional<Long> bytes) {
        return bytes.map(Sizes::text).orElse("unknown");
    }

    @SuppressWarnings("AnnotateFormatMethod")
    private void say(String format, Object... values) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(String.format(format, values));
        out.flush();
    }

    private void writeJson(DemoMachine machine, boolean good) throws IOException {
        if (json == null) {
            return;
        }
        JsonObject result = new JsonObject();
        result.addProperty("ok", good);
        result.addProperty("simulated", machine.simulated());
        result.addProperty("reason", machine.reason());
        result.addProperty("gpu", machine.device().name());
        result.addProperty("provider", machine.cuda().provider());
        JsonArray all = new JsonArray();
        for (DemoRound round : done) {
            all.add(round.json());
        }
        result.add("rounds", all);
        Files.writeString(json, result + "\n");
    }
}
