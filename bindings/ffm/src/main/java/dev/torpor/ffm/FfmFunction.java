package dev.torpor.ffm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.torpor.driver.NativeFunction;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * A function by its address. A list of parameters is linked when it is first called, and its handle is a constant to the JIT,
 * shared by all functions that have it: hence one class for each, I for an int and J for a long.
 */
record FfmFunction(MemorySegment address) implements NativeFunction {
    private static MethodHandle link(MemoryLayout result, MemoryLayout... parameters) {
        return Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(result, parameters));
    }

    /** A C function throws nothing, so this is an error of ours or of the virtual machine. */
    static RuntimeException unexpected(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return new IllegalStateException(thrown);
    }

    private static final class V {
        static final MethodHandle CALL = link(JAVA_INT);
    }

    @Override
    public int call() {
        try {
            return (int) V.CALL.invokeExact(address);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class I {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_INT);
    }

    @Override
    public int call(int a) {
        try {
            return (int) I.CALL.invokeExact(address, a);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class J {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG);
    }

    @Override
    public int call(long a) {
        try {
            return (int) J.CALL.invokeExact(address, a);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class IJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_INT, JAVA_LONG);
    }

    @Override
    public int call(int a, long b) {
        try {
            return (int) IJ.CALL.invokeExact(address, a, b);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JI {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_INT);
    }

    @Override
    public int call(long a, int b) {
        try {
            return (int) JI.CALL.invokeExact(address, a, b);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_LONG);
    }

    @Override
    public int call(long a, long b) {
        try {
            return (int) JJ.CALL.invokeExact(address, a, b);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class IJJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    }

    @Override
    public int call(int a, long b, long c) {
        try {
            return (int) IJJ.CALL.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JII {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT);
    }

    @Override
    public int call(long a, int b, int c) {
        try {
            return (int) JII.CALL.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JIJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_LONG);
    }

    @Override
    public int call(long a, int b, long c) {
        try {
            return (int) JIJ.CALL.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JJI {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    }

    @Override
    public int call(long a, long b, int c) {
        try {
            return (int) JJI.CALL.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JJJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    }

    @Override
    public int call(long a, long b, long c) {
        try {
            return (int) JJJ.CALL.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class JJIJJ {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG);
    }

    @Override
    public int call(long a, long b, int c, long d, long e) {
        try {
            return (int) JJIJJ.CALL.invokeExact(address, a, b, c, d, e);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class Launch {
        static final MethodHandle CALL = link(
                JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG,
                JAVA_LONG, JAVA_LONG);
    }

    @Override
    public int call(long a, int b, int c, int d, int e, int f, int g, int h, long i, long j, long k) {
        try {
            return (int) Launch.CALL.invokeExact(address, a, b, c, d, e, f, g, h, i, j, k);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    private static final class Pointer {
        static final MethodHandle CALL = link(JAVA_LONG, JAVA_INT);
    }

    @Override
    public long pointer(int a) {
        try {
            return (long) Pointer.CALL.invokeExact(address, a);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }
}
