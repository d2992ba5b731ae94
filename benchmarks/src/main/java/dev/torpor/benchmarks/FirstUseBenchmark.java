package dev.torpor.benchmarks;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.Phase;
import dev.torpor.WarmUpReport;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The first use of the GPU, phase by phase; it happens once in a process, so each is a fresh fork. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 0)
@Measurement(iterations = 1)
public class FirstUseBenchmark {
    /** The binding. */
    @Param({"ffm", "jna"})
    public String provider = "";

    /** Microseconds of each phase. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.EVENTS)
    public static class Phases {
        public long libraryLoad;
        public long link;
        public long cuInit;
        public long deviceGet;
        public long contextRetain;
        public long firstAllocation;
        public long total;

        void take(WarmUpReport report) {
            libraryLoad = micros(report, "library load");
            link = micros(report, "link");
            cuInit = micros(report, "cuInit");
            deviceGet = micros(report, "device get");
            contextRetain = micros(report, "context retain");
            firstAllocation = micros(report, "first allocation");
            total = report.total().toNanos() / 1000;
        }

        private static long micros(WarmUpReport report, String name) {
            for (Phase phase : report.phases()) {
                if (phase.name().equals(name)) {
                    return phase.duration().toNanos() / 1000;
                }
            }
            throw new IllegalStateException("no phase " + name + " in " + report);
        }
    }

    @Benchmark
    public WarmUpReport firstUse(Phases phases) {
        CudaOptions options = CudaOptions.defaults().provider(provider).mpsClient(true); // MPS is measured, too
        try (Cuda cuda = Cuda.open(options)) {
            WarmUpReport report = cuda.warmUp(0);
            phases.take(report);
            return report;
        }
    }
}
