package dev.torpor.jna;

import com.sun.jna.Native;

/** Starts JNA, once. It loads a native library of its own, which it first copies into a temporary directory. */
final class JnaStart {
    /** Why JNA does not work and what to do, without a full stop; empty where it works. */
    static final String FAILURE = start();

    private JnaStart() {}

    private static String start() {
        try {
            int unused = Native.POINTER_SIZE;
            return "";
        } catch (LinkageError e) {
            return reason(e);
        }
    }

    static String reason(LinkageError e) {
        Throwable cause = e.getCause() == null ? e : e.getCause();
        if (cause instanceof IllegalCallerException) {
            Module module = Native.class.getModule();
            return "this Java denies native access: start it with --enable-native-access="
                    + (module.isNamed() ? module.getName() : "ALL-UNNAMED");
        }
        String message = String.valueOf(cause.getMessage());
        if (message.contains("failed to map segment") || message.contains("Operation not permitted")) {
            return "JNA's own library cannot be run from the directory that JNA copies it to (" + message
                    + "): let the system property jna.tmpdir name a directory where programs may be run";
        }
        return "JNA does not start (" + message + ")";
    }
}
