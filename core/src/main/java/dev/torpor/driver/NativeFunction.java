package dev.torpor.driver;

/**
 * A C function. There is one method for each list of parameters that Torpor calls. A pointer or a handle is passed as a
 * {@code long}, and what is narrower than {@code int} as an {@code int}, as C compilers pass it too.
 */
public interface NativeFunction {
    int call();

    int call(int a);

    int call(long a);

    int call(int a, long b);

    int call(long a, int b);

    int call(long a, long b);

    int call(int a, long b, long c);

    int call(long a, int b, int c);

    int call(long a, int b, long c);

    int call(long a, long b, int c);

    int call(long a, long b, long c);

    int call(long a, long b, int c, long d, long e);

    int call(long a, int b, int c, int d, int e, int f, int g, int h, long i, long j, long k);

    /** Calls a function that returns a pointer. */
    long pointer(int a);
}
