package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Prototypes.Kind;
import dev.torpor.contract.Prototypes.Prototype;
import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.LibCuda;
import dev.torpor.driver.LibNvml;
import dev.torpor.driver.LibTorpor;
import dev.torpor.driver.LoadedLibrary;
import dev.torpor.driver.NativeFunction;
import dev.torpor.driver.Nvml;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What reaches C is what the C declarations say, for every function; recorded without a native library. */
class CallsAsDeclaredTest {
    private static final Prototypes CUDA = new Prototypes("cuda_functions.h");
    private static final Prototypes NVML = new Prototypes("nvml_functions.h");
    private static final Prototypes FACTS = new Prototypes("cuda_facts.h");

    private static final int FAILED = 999;

    /** A library that has every function, and remembers the last call; its cuGetProcAddress finds nothing. */
    private static final class Recorder implements LoadedLibrary {
        private static final long MEMORY = 1L << 40;

        private final List<ByteBuffer> memory = new ArrayList<>();
        private final int result;
        private String name = "";
        private Prototype called = new Prototype(Kind.INT, List.of());
        private Object[] arguments = {};

        Recorder(int result) {
            this.result = result;
        }

        @Override
        public NativeFunction find(String symbol) {
            return (NativeFunction) Proxy.newProxyInstance(
                    getClass().getClassLoader(),
                    new Class<?>[] {NativeFunction.class},
                    (proxy, method, values) -> record(symbol, method, values));
        }

        private Object record(String symbol, Method method, Object @Nullable [] values) {
            List<Kind> kinds = new ArrayList<>();
            name = symbol;
            arguments = values == null ? new Object[0] : values;
            for (Object value : arguments) {
                kinds.add(value instanceof Integer ? Kind.INT : pointer((Long) value) ? Kind.POINTER : Kind.LONG);
            }
            boolean pointer = method.getName().equals("pointer");
            called = new Prototype(pointer ? Kind.POINTER : Kind.INT, kinds);
            int answer = symbol.startsWith("cuGetProcAddress") ? FAILED : result;
            return pointer ? (Object) 0L : (Object) answer;
        }

        private static boolean pointer(long value) {
            return value >= MEMORY || value == 0;
        }

        /** What the last call's argument points to. */
        ByteBuffer pointed(int argument) {
            long address = (Long) arguments[argument] - MEMORY;
            ByteBuffer all = memory.get((int) (address >> 20));
            return all.duplicate().position((int) address & 0xfffff).slice().order(ByteOrder.nativeOrder());
        }

        @Override
        public NativeFunction function(long address) {
            throw new AssertionError("cuGetProcAddress found nothing");
        }

        @Override
        public long address(ByteBuffer direct) {
            memory.add(direct);
            return MEMORY + ((memory.size() - 1L) << 20);
        }

        @Override
        public String text(long address) {
            return "";
        }
    }

    static Stream<AnyCall> cudaCalls() {
        return AnyCall.of(CudaDriver.class);
    }

    static Stream<AnyCall> nvmlCalls() {
        return AnyCall.of(Nvml.class);
    }

    @ParameterizedTest
    @MethodSource("cudaCalls")
    void cudaFunction(AnyCall call) {
        Recorder recorder = new Recorder(FAILED);
        inOwnThread(() -> assertThat(call.on(new LibCuda(recorder))).isEqualTo(FAILED));
        assertThat(recorder.name).isEqualTo(call.name());
        assertThat(recorder.called).isEqualTo(CUDA.of(call.name()));
        assertThat(call.arguments())
                .usingRecursiveComparison()
                .isEqualTo(call.untouched().toArray());
    }

    @ParameterizedTest
    @MethodSource("nvmlCalls")
    void nvmlFunction(AnyCall call) {
        Recorder recorder = new Recorder(FAILED);
        inOwnThread(() -> call.on(new LibNvml(recorder)));
        assertThat(recorder.name).isEqualTo(call.name());
        assertThat(recorder.called).isEqualTo(NVML.of(call.name()));
        assertThat(call.arguments())
                .usingRecursiveComparison()
                .isEqualTo(call.untouched().toArray());
    }

    /** Scratch memory is kept by thread, and its address is what the recorder gave for it. */
    private static void inOwnThread(Runnable test) {
        List<Throwable> thrown = new ArrayList<>();
        Thread thread = new Thread(test, "recorded");
        thread.setUncaughtExceptionHandler((t, e) -> thrown.add(e));
        thread.start();
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        assertThat(thrown).isEmpty();
    }

    @Test
    void functionsOfTheShim() {
        Prototypes declared = new Prototypes("../shim/torpor.h");
        Recorder recorder = new Recorder(FAILED);
        LibTorpor shim = new LibTorpor(recorder);
        ByteBuffer host = ByteBuffer.allocateDirect(8);
        assertThat(shim.copyToDevice(5, host, 5)).isEqualTo(FAILED);
        assertThat(recorder.called).isEqualTo(declared.of("torpor_copy_to_device"));
        assertThat(shim.copyToHost(host, 5, 5)).isEqualTo(FAILED);
        assertThat(recorder.called).isEqualTo(declared.of("torpor_copy_to_host"));
        inOwnThread(shim::statistics);
        assertThat(recorder.name).isEqualTo("torpor_statistics");
        assertThat(recorder.called.parameters())
                .isEqualTo(declared.of("torpor_statistics").parameters());
    }

    @Test
    void lockArguments() {
        Recorder recorder = new Recorder(0);
        inOwnThread(() -> {
            new LibCuda(recorder).cuCheckpointProcessLock(1, 0x7fff_0102);
            ByteBuffer args = recorder.pointed(1);
            int timeout = FACTS.offset("CUcheckpointLockArgs", "timeoutMs");
            assertThat(args.getInt(timeout)).isEqualTo(0x7fff_0102);
            args.putInt(timeout, 0);
            assertThat(zeros(args, FACTS.size("CUcheckpointLockArgs"))).isTrue();
        });
    }

    @Test
    void checkpointAndUnlockArgumentsAreZero() {
        Recorder recorder = new Recorder(0);
        inOwnThread(() -> {
            LibCuda cuda = new LibCuda(recorder);
            cuda.cuCheckpointProcessRestore(1, new byte[96]);
            cuda.cuCheckpointProcessCheckpoint(1);
            assertThat(zeros(recorder.pointed(1), FACTS.size("CUcheckpointCheckpointArgs")))
                    .isTrue();
            cuda.cuCheckpointProcessLock(1, -1);
            cuda.cuCheckpointProcessUnlock(1);
            assertThat(zeros(recorder.pointed(1), FACTS.size("CUcheckpointUnlockArgs")))
                    .isTrue();
        });
    }

    @ParameterizedTest
    @MethodSource("pairCounts")
    void restoreArguments(int count) {
        Recorder recorder = new Recorder(0);
        inOwnThread(() -> {
            int size = FACTS.size("CUcheckpointGpuPair");
            byte[] pairs = new byte[count * size];
            for (int i = 0; i < pairs.length; i++) {
                pairs[i] = (byte) (i + 1);
            }
            new LibCuda(recorder).cuCheckpointProcessRestore(1, pairs);
            ByteBuffer args = recorder.pointed(1);
            int counter = FACTS.offset("CUcheckpointRestoreArgs", "gpuPairsCount");
            int pointer = FACTS.offset("CUcheckpointRestoreArgs", "gpuPairs");
            assertThat(args.getInt(counter)).isEqualTo(count);
            recorder.arguments = new Object[] {args.getLong(pointer)};
            byte[] arrived = new byte[pairs.length];
            if (count > 0) {
                recorder.pointed(0).get(arrived);
            }
            assertThat(arrived).isEqualTo(pairs);
            args.putInt(counter, 0).putLong(pointer, 0);
            assertThat(zeros(args, FACTS.size("CUcheckpointRestoreArgs"))).isTrue();
        });
    }

    /** The last is more than a thread's scratch memory holds. */
    static int[] pairCounts() {
        return new int[] {0, 1, 8, 100};
    }

    private static boolean zeros(ByteBuffer bytes, int count) {
        for (int i = 0; i < count; i++) {
            if (bytes.get(i) != 0) {
                return false;
            }
        }
        return true;
    }

    @Test
    void kernelParametersArePointedTo() {
        Recorder recorder = new Recorder(0);
        inOwnThread(() -> {
            new LibCuda(recorder).cuLaunchKernel(1, 1, 1, 1, 1, 1, 1, 0, 0, new long[] {11, -12});
            ByteBuffer pointers = recorder.pointed(9);
            recorder.arguments = new Object[] {pointers.getLong(0), pointers.getLong(8)};
            assertThat(recorder.pointed(0).getLong(0)).isEqualTo(11);
            assertThat(recorder.pointed(1).getLong(0)).isEqualTo(-12);
        });
    }

    @Test
    void aByteIsPassedWithoutItsSign() {
        Recorder recorder = new Recorder(0);
        inOwnThread(() -> {
            new LibCuda(recorder).cuMemsetD8_v2(5, (byte) 0xa5, 5);
            assertThat(recorder.arguments[1]).isEqualTo(0xa5);
        });
    }
}
