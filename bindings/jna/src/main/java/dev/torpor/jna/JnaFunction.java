package dev.torpor.jna;

import com.sun.jna.Function;
import com.sun.jna.Pointer;
import dev.torpor.driver.NativeFunction;

/** A function that JNA calls by the types of the boxed arguments. */
record JnaFunction(Function function) implements NativeFunction {
    private int invoke(Object... arguments) {
        return function.invokeInt(arguments);
    }

    @Override
    public int call() {
        return invoke();
    }

    @Override
    public int call(int a) {
        return invoke(a);
    }

    @Override
    public int call(long a) {
        return invoke(a);
    }

    @Override
    public int call(int a, long b) {
        return invoke(a, b);
    }

    @Override
    public int call(long a, int b) {
        return invoke(a, b);
    }

    @Override
    public int call(long a, long b) {
        return invoke(a, b);
    }

    @Override
    public int call(int a, long b, long c) {
        return invoke(a, b, c);
    }

    @Override
    public int call(long a, int b, int c) {
        return invoke(a, b, c);
    }

    @Override
    public int call(long a, int b, long c) {
        return invoke(a, b, c);
    }

    @Override
    public int call(long a, long b, int c) {
        return invoke(a, b, c);
    }

    @Override
    public int call(long a, long b, long c) {
        return invoke(a, b, c);
    }

    @Override
    public int call(long a, long b, int c, long d, long e) {
        return invoke(a, b, c, d, e);
    }

    @Override
    public int call(long a, int b, int c, int d, int e, int f, int g, int h, long i, long j, long k) {
        return invoke(a, b, c, d, e, f, g, h, i, j, k);
    }

    @Override
    public long pointer(int a) {
        return Pointer.nativeValue(function.invokePointer(new Object[] {a}));
    }
}
