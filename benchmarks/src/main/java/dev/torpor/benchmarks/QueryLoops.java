package dev.torpor.benchmarks;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuProcess;
import dev.torpor.driver.CudaDriver;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.IntPointer;

/**
 * {@code QueryLoops LIBQUERY PID ROUNDS}: loops of state queries, each between two of the same length in C. Prints a line for
 * each: program, ns a call in C, ns a call in Java.
 */
public final class QueryLoops {
    private static final int CALLS = 200;
    private static final int WARM_UP_ROUNDS = 60;

    private interface Query {
        int run();
    }

    private final int pid;
    private final MethodHandle loop;
    private final MemorySegment function;

    private QueryLoops(String library, String libcuda, int pid) {
        this.pid = pid;
        MemorySegment address = SymbolLookup.libraryLookup(library, Arena.global())
                .find("query_loop")
                .orElseThrow();
        loop = Linker.nativeLinker()
                .downcallHandle(address, FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_INT, JAVA_INT));
        function = SymbolLookup.libraryLookup(libcuda, Arena.global())
                .find("cuCheckpointProcessGetState")
                .orElseThrow();
    }

    /** Runs all loops. */
    public static void main(String[] args) throws Throwable {
        int pid = Integer.parseInt(args[1]);
        try (Cuda ffm = Cuda.open(CudaOptions.defaults().provider("ffm"));
                Cuda jna = Cuda.open(CudaOptions.defaults().provider("jna"));
                IntPointer state = new IntPointer(1)) {
            Map<String, Query> queries = new LinkedHashMap<>();
            queries.put("ffm", raw(ffm.driver(), pid));
            queries.put("jna", raw(jna.driver(), pid));
            queries.put("bytedeco", () -> cudart.cuCheckpointProcessGetState(pid, state));
            GpuProcess process = ffm.process(pid);
            queries.put("typed", () -> process.state().code());
            new QueryLoops(args[0], ffm.library(), pid).run(queries, Integer.parseInt(args[2]));
        }
    }

    private static Query raw(CudaDriver driver, int pid) {
        int[] state = new int[1];
        return () -> driver.cuCheckpointProcessGetState(pid, state);
    }

    private void run(Map<String, Query> queries, int rounds) throws Throwable {
        for (int round = -WARM_UP_ROUNDS; round < rounds; round++) {
            for (Map.Entry<String, Query> entry : queries.entrySet()) {
                double before = inC();
                double java = inJava(entry.getValue());
                double c = (before + inC()) / 2;
                if (round >= 0) {
                    System.out.println(entry.getKey() + " " + c + " " + java);
                }
            }
        }
    }

    private double inC() throws Throwable {
        long nanos = (long) loop.invokeExact(function, pid, CALLS);
        if (nanos < 0) {
            throw new IllegalStateException("cuCheckpointProcessGetState answered " + -nanos);
        }
        return (double) nanos / CALLS;
    }

    private static double inJava(Query query) {
        long begun = System.nanoTime();
        for (int i = 0; i < CALLS; i++) {
            if (query.run() != 0) {
                throw new IllegalStateException("a state query failed");
            }
        }
        return (double) (System.nanoTime() - begun) / CALLS;
    }
}
