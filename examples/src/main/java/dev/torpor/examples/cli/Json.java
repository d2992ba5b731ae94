package dev.torpor.examples.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.torpor.GpuUuid;
import dev.torpor.Phase;
import dev.torpor.ProcessInfo;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.Shim;
import dev.torpor.ShimStatistics;
import dev.torpor.TorporException;
import dev.torpor.WarmUpReport;
import dev.torpor.criu.CriuStatistics;
import dev.torpor.mps.Mps;
import dev.torpor.mps.MpsStatus;
import dev.torpor.podman.PodmanReport;
import dev.torpor.snapshot.SnapshotReport;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** The library's records as JSON: durations in milliseconds, sizes in bytes, and what is not known left out. */
public final class Json {
    private static final Pattern NUMBER = Pattern.compile("(0|[1-9]\\d*)(\\.\\d+)?");
    private static final Pattern IN_BRACKETS = Pattern.compile("\\([^)]*\\)");
    private static final Pattern NEXT_WORD = Pattern.compile("[^A-Za-z0-9]+([A-Za-z0-9])");

    private static final String SPEED = "_gbps";

    private Json() {}

    /** A transition. */
    public static JsonObject of(Report report) {
        return of(report, report.operation());
    }

    /** A transition by the name of the command that asked for it. */
    static JsonObject of(Report report, String operation) {
        JsonObject json = new JsonObject();
        json.addProperty("pid", report.pid());
        json.addProperty("operation", operation);
        json.addProperty("start", report.start().toString());
        json.addProperty("state", report.end().toString());
        json.addProperty("totalMs", millis(report.total()));
        json.addProperty("driverMs", millis(report.driverTime()));
        json.addProperty("outsideDriverMs", millis(report.outsideDriver()));
        json.addProperty("checksMs", millis(report.checks()));
        json.add("steps", of(report.steps()));
        json.add("undone", of(report.undone()));
        json.addProperty("hostBytesGained", report.hostBytesGained());
        report.deviceBytes().ifPresent(bytes -> json.addProperty("deviceBytes", bytes));
        report.driverOnly().ifPresent(reason -> json.addProperty("driverOnly", reason));
        json.addProperty("simulated", report.simulated());
        return json;
    }

    static JsonObject of(PodmanReport.Checkpoint report) {
        JsonObject json = podman("checkpoint", report.id(), report.podman(), report.runtime(), report.total());
        CriuStatistics.Dump criu = report.criu();
        json.add("suspended", ofReports(report.suspended()));
        json.add("resumed", ofReports(report.resumed()));
        json.addProperty("frozenMs", millis(criu.frozen()));
        json.addProperty("memoryDumpMs", millis(criu.memoryDump()));
        json.addProperty("memoryWriteMs", millis(criu.memoryWrite()));
        json.addProperty("pagesWritten", criu.pagesWritten());
        return json;
    }

    static JsonObject of(PodmanReport.Restore report) {
        JsonObject json = podman("restore", report.id(), report.podman(), report.runtime(), report.total());
        json.add("resumed", ofReports(report.resumed()));
        json.addProperty("restoreMs", millis(report.criu().restore()));
        json.addProperty("pagesRestored", report.criu().pagesRestored());
        return json;
    }

    private static JsonObject podman(String operation, String id, Duration podman, Duration runtime, Duration total) {
        JsonObject json = new JsonObject();
        json.addProperty("operation", operation);
        json.addProperty("container", id);
        json.addProperty("totalMs", millis(total));
        json.addProperty("podmanMs", millis(podman));
        json.addProperty("runtimeMs", millis(runtime));
        return json;
    }

    private static JsonArray ofReports(List<Report> reports) {
        JsonArray json = new JsonArray();
        reports.forEach(report -> json.add(of(report)));
        return json;
    }

    static JsonObject of(SnapshotReport report) {
        JsonObject json = new JsonObject();
        json.addProperty("operation", report.operation());
        json.addProperty("folder", report.folder().toString());
        JsonArray pids = new JsonArray();
        report.pids().forEach(pids::add);
        json.add("pids", pids);
        json.add("phases", of(report.phases()));
        JsonArray processes = new JsonArray();
        report.processes().forEach(process -> processes.add(of(process)));
        json.add("processes", processes);
        json.addProperty("bytes", report.bytes());
        json.addProperty("totalMs", millis(report.total()));
        JsonArray notes = new JsonArray();
        report.notes().forEach(notes::add);
        json.add("notes", notes);
        json.addProperty("simulated", report.simulated());
        return json;
    }

    static JsonObject of(WarmUpReport report) {
        JsonObject json = new JsonObject();
        json.addProperty("device", report.device());
        json.addProperty("totalMs", millis(report.total()));
        json.add("phases", of(report.phases()));
        json.addProperty("early", report.early());
        json.addProperty("simulated", report.simulated());
        return json;
    }

    static JsonObject of(ProcessInfo process, boolean simulated) {
        JsonObject json = state(process.pid(), process.state(), simulated);
        json.addProperty("command", process.command());
        json.addProperty("deviceBytes", process.deviceBytes());
        JsonObject devices = new JsonObject();
        new TreeMap<>(byName(process.deviceMemory())).forEach(devices::addProperty);
        json.add("deviceMemory", devices);
        if (!process.note().isEmpty()) {
            json.addProperty("note", process.note());
        }
        return json;
    }

    private static Map<String, Long> byName(Map<GpuUuid, Long> memory) {
        Map<String, Long> named = new HashMap<>();
        memory.forEach((device, bytes) -> named.put(device.toString(), bytes));
        return named;
    }

    /** The version of the shim that a process carries; empty also where that cannot be told. */
    static Optional<String> shim(long pid) {
        try {
            return Shim.of(pid).map(Shim.Loaded::version);
        } catch (TorporException e) {
            return Optional.empty();
        }
    }

    static JsonObject state(long pid, ProcessState state, boolean simulated) {
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.addProperty("state", state.toString());
        json.addProperty("simulated", simulated);
        shim(pid).ifPresent(version -> json.addProperty("shim", version));
        return json;
    }

    static JsonObject of(Mps mps, MpsStatus status) {
        JsonObject json = new JsonObject();
        json.addProperty("state", status.state().toString());
        status.pid().ifPresent(pid -> json.addProperty("pid", pid));
        json.addProperty("pipe", mps.pipeFolder().toString());
        json.addProperty("log", mps.logFolder().toString());
        json.addProperty("reason", status.reason());
        return json;
    }

    static JsonObject error(TorporException failure) {
        JsonObject json = error(
                ExitCode.of(failure.problem()).code(), failure.problem().name(), String.valueOf(failure.getMessage()));
        JsonObject error = json.getAsJsonObject("error");
        if (failure.cudaResult() != 0) {
            error.addProperty("cudaResult", failure.cudaResult());
        }
        failure.report().ifPresent(report -> {
            error.addProperty("state", report.end().toString());
            error.add("report", of(report));
        });
        return json;
    }

    static JsonObject error(int exitCode, String problem, String message) {
        JsonObject error = new JsonObject();
        error.addProperty("problem", problem);
        error.addProperty("message", message);
        error.addProperty("exitCode", exitCode);
        JsonObject json = new JsonObject();
        json.add("error", error);
        return json;
    }

    private static JsonArray of(List<Phase> phases) {
        JsonArray json = new JsonArray();
        for (Phase phase : phases) {
            json.add(of(phase));
        }
        return json;
    }

    static JsonObject of(Phase phase) {
        JsonObject json = new JsonObject();
        json.addProperty("name", identifier(phase.name()));
        json.addProperty("ms", millis(phase.duration()));
        phase.bytes().ifPresent(bytes -> json.addProperty("bytes", bytes));
        phase.gigabytesPerSecond().ifPresent(speed -> json.addProperty("gigabytesPerSecond", speed));
        if (!phase.parts().isEmpty()) {
            json.add("parts", of(phase.parts()));
        }
        return json;
    }

    /** A name of several words as one, like {@code toDevice} for {@code to_device}; what is in brackets is left out. */
    public static String identifier(String name) {
        String words = IN_BRACKETS.matcher(name).replaceAll("").strip();
        String joined =
                NEXT_WORD.matcher(words).replaceAll(next -> next.group(1).toUpperCase(Locale.ROOT));
        return joined.equals(joined.toUpperCase(Locale.ROOT))
                ? joined.toLowerCase(Locale.ROOT)
                : joined.substring(0, 1).toLowerCase(Locale.ROOT) + joined.substring(1);
    }

    /** What the shim has counted; numbers where it gives numbers. A speed of nothing is left out. */
    static JsonObject of(long pid, ShimStatistics statistics) {
        JsonObject counted = new JsonObject();
        statistics.values().forEach((name, value) -> {
            if (!name.endsWith(SPEED)) {
                add(counted, identifier(name), value);
            } else if (NUMBER.matcher(value).matches() && new BigDecimal(value).signum() > 0) {
                add(counted, identifier(name.replace(SPEED, "_gigabytes_per_second")), value);
            }
        });
        JsonObject json = new JsonObject();
        json.addProperty("pid", pid);
        json.add("statistics", counted);
        return json;
    }

    private static void add(JsonObject json, String name, String value) {
        if (NUMBER.matcher(value).matches()) {
            json.addProperty(name, new BigDecimal(value));
        } else {
            json.addProperty(name, value);
        }
    }

    static double millis(Duration duration) {
        return duration.toNanos() / 1e6;
    }
}
