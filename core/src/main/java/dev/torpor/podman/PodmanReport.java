package dev.torpor.podman;

import dev.torpor.Report;
import dev.torpor.criu.CriuStatistics;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** What a checkpoint or a restore of a container did, and how long each part took. */
public final class PodmanReport {
    private PodmanReport() {}

    /**
     * Of a checkpoint.
     *
     * @param id of the container
     * @param suspended the GPU processes, before it; empty if there are none that ran
     * @param podman how long podman took, as it tells
     * @param runtime how long its runtime took within that
     * @param criu what CRIU counted within that
     * @param resumed the GPU processes, after it; empty if the container was not left running
     * @param total from the call to its end
     */
    public record Checkpoint(
            String id,
            List<Report> suspended,
            Duration podman,
            Duration runtime,
            CriuStatistics.Dump criu,
            List<Report> resumed,
            Duration total) {
        /** Makes the lists unmodifiable. */
        public Checkpoint {
            suspended = List.copyOf(suspended);
            resumed = List.copyOf(resumed);
        }

        /** Like {@code 2 GPU processes suspended, podman 458 ms, its runtime 425 ms, CRIU 369 ms (131088 pages); 1.92 s}. */
        @Override
        public String toString() {
            return text(suspended, "suspended", podman, runtime, criu.frozen(), criu.pagesWritten())
                    + (resumed.isEmpty() ? "" : ", " + resumed.size() + " resumed") + "; " + text(total);
        }
    }

    /**
     * Of a restore.
     *
     * @param id of the container
     * @param podman how long podman took, as it tells
     * @param runtime how long its runtime took within that
     * @param criu what CRIU counted within that
     * @param resumed the GPU processes, after it
     * @param total from the call to its end
     */
    public record Restore(
            String id,
            Duration podman,
            Duration runtime,
            CriuStatistics.Restore criu,
            List<Report> resumed,
            Duration total) {
        /** Makes the list unmodifiable. */
        public Restore {
            resumed = List.copyOf(resumed);
        }

        /** Like {@code 2 GPU processes resumed, podman 703 ms, its runtime 573 ms, CRIU 433 ms (131088 pages); 1.31 s}. */
        @Override
        public String toString() {
            return text(resumed, "resumed", podman, runtime, criu.restore(), criu.pagesRestored()) + "; " + text(total);
        }
    }

    private static String text(
            List<Report> reports, String done, Duration podman, Duration runtime, Duration criu, long pages) {
        boolean simulated = reports.stream().anyMatch(Report::simulated);
        String processes = reports.size() == 1 ? "1 GPU process " : reports.size() + " GPU processes ";
        return (simulated ? "SIMULATED: " : "") + processes + done + ", podman " + text(podman) + ", its runtime "
                + text(runtime) + ", CRIU " + text(criu) + " (" + pages + " pages)";
    }

    private static String text(Duration duration) {
        return duration.toMillis() >= 1000
                ? String.format(Locale.ROOT, "%.2f s", duration.toNanos() / 1e9)
                : duration.toMillis() + " ms";
    }
}
