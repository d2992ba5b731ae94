package dev.torpor.benchmarks;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuProcess;
import dev.torpor.ProcessState;
import dev.torpor.driver.CudaDriver;
import java.util.concurrent.TimeUnit;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.IntPointer;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** What it costs to ask for the state of the process that the property {@value #PID} names. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class StateQueryBenchmark {
    static final String PID = "torpor.bench.pid";

    private static CudaDriver open(String provider) {
        return Cuda.open(CudaOptions.defaults().provider(provider)).driver();
    }

    private static int known(int state) {
        if (state != 0) {
            throw new IllegalStateException("the target is in state " + state);
        }
        return state;
    }

    private static int query(CudaDriver driver, int pid, int[] state) {
        int result = driver.cuCheckpointProcessGetState(pid, state);
        if (result != 0) {
            throw new IllegalStateException("cuCheckpointProcessGetState answered " + result);
        }
        return known(state[0]);
    }

    /** The raw call over FFM. */
    @State(Scope.Thread)
    public static class Ffm {
        final int pid = Integer.getInteger(PID);
        final CudaDriver driver = open("ffm");
        final int[] state = new int[1];
    }

    /** The raw call over JNA. */
    @State(Scope.Thread)
    public static class Jna {
        final int pid = Integer.getInteger(PID);
        final CudaDriver driver = open("jna");
        final int[] state = new int[1];
    }

    /** The typed call, which makes sure that the pid still means the same process. */
    @State(Scope.Thread)
    public static class Typed {
        final GpuProcess process =
                Cuda.open(CudaOptions.defaults().provider("ffm")).process(Integer.getInteger(PID));
    }

    /** The peer; its out parameter lives outside the heap, and is made once as it would be in a loop of its user. */
    @State(Scope.Thread)
    public static class Bytedeco {
        final int pid = Integer.getInteger(PID);

        @SuppressWarnings("NullAway.Init")
        IntPointer state;

        @Setup
        public void allocate() {
            state = new IntPointer(1);
        }

        @TearDown
        public void free() {
            state.close();
        }
    }

    @Benchmark
    public int ffm(Ffm it) {
        return query(it.driver, it.pid, it.state);
    }

    @Benchmark
    public int jna(Jna it) {
        return query(it.driver, it.pid, it.state);
    }

    @Benchmark
    public ProcessState typed(Typed it) {
        return it.process.state();
    }

    @Benchmark
    public int bytedeco(Bytedeco it) {
        int result = cudart.cuCheckpointProcessGetState(it.pid, it.state);
        if (result != 0) {
            throw new IllegalStateException("cuCheckpointProcessGetState answered " + result);
        }
        return known(it.state.get());
    }
}
