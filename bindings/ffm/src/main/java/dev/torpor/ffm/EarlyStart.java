package dev.torpor.ffm;

import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.NativeEnvironment;
import dev.torpor.natives.NativeLibrary;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Initialises the driver on a native thread. Reached through JNI, which is ready long before the first downcall is linked;
 * the names of the native methods are part of {@code libtorpor_early.so}.
 */
final class EarlyStart {
    /** By the step that failed, as the native part counts them. */
    private static final String[] CALLS = {"", "dlopen", "dlsym", "cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"};

    private static boolean underWay;

    private EarlyStart() {}

    private static native void begin(String library, int device);

    /** Sets a variable for C code. */
    private static native void set(String name, String value);

    /** The failed step, its result, nanoseconds of dlopen, cuInit, cuDeviceGet and retain, the device, the context. */
    private static native long[] await();

    /** Null where the native part cannot be loaded, or where its only thread is busy. */
    static synchronized @Nullable EarlyInitialization start(
            String library, int device, Map<String, String> environment) {
        if (underWay || !loaded()) {
            return null;
        }
        NativeEnvironment.copyForJava();
        for (Map.Entry<String, String> variable : environment.entrySet()) {
            set(variable.getKey(), variable.getValue());
        }
        begin(library, device);
        underWay = true;
        return new Started();
    }

    private static boolean loaded() {
        try {
            System.load(NativeLibrary.file("libtorpor_early.so").toString());
            return true;
        } catch (UnsatisfiedLinkError | IllegalCallerException e) {
            return false;
        }
    }

    private static synchronized EarlyInitialization.Outcome end() {
        long[] v = await();
        underWay = false;
        return new EarlyInitialization.Outcome(CALLS[(int) v[0]], (int) v[1], v[2], v[3], v[4], v[5], (int) v[6], v[7]);
    }

    private static final class Started implements EarlyInitialization {
        private @Nullable Outcome outcome;

        @Override
        public synchronized Outcome await() {
            Outcome known = outcome == null ? end() : outcome;
            outcome = known;
            return known;
        }
    }
}
