package dev.torpor.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.torpor.driver.NativeFunction;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * A function by its address. Linking a list of parameters costs a JVM milliseconds, so there is one for all functions of up to
 * five: on x86-64 each integer or pointer has a register of its own, a callee looks at no more of a register than its
 * parameter is wide, and at no register beyond its parameters. The handle is a constant to the JIT.
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
        if (thrown instanceof RuntimeException known) {
            return known;
        }
        return new IllegalStateException(thrown);
    }

    private static final class Five {
        static final MethodHandle CALL = link(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    }

    private int five(long a, long b, long c, long d, long e) {
        try {
            return (int) Five.CALL.invokeExact(address, a, b, c, d, e);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    @Override
    public int call() {
        return five(0, 0, 0, 0, 0);
    }

    @Override
    public int call(int a) {
        return five(a, 0, 0, 0, 0);
    }

    @Override
    public int call(long a) {
        return five(a, 0, 0, 0, 0);
    }

    @Override
    public int call(int a, long b) {
        return five(a, b, 0, 0, 0);
    }

    @Override
    public int call(long a, int b) {
        return five(a, b, 0, 0, 0);
    }

    @Override
    public int call(long a, long b) {
        return five(a, b, 0, 0, 0);
    }

    @Override
    public int call(int a, long b, long c) {
        return five(a, b, c, 0, 0);
    }

    @Override
    public int call(long a, int b, int c) {
        return five(a, b, c, 0, 0);
    }

    @Override
    public int call(long a, int b, long c) {
        return five(a, b, c, 0, 0);
    }

    @Override
    public int call(long a, long b, int c) {
        return five(a, b, c, 0, 0);
    }

    @Override
    public int call(long a, long b, long c) {
        return five(a, b, c, 0, 0);
    }

    @Override
    public int call(long a, long b, int c, long d, long e) {
        return five(a, b, c, d, e);
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

    /** A segment that is passed as such cannot be freed during the call. */
    private static final class Segment {
        static final MethodHandle READ = link(JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG);
        static final MethodHandle WRITTEN = link(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
    }

    int call(long a, MemorySegment b, long c) {
        try {
            return (int) Segment.READ.invokeExact(address, a, b, c);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
    }

    int call(MemorySegment a, long b, long c) {
        try {
            return (int) Segment.WRITTEN.invokeExact(address, a, b, c);
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
