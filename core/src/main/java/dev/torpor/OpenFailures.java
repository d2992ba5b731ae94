package dev.torpor;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Why the driver could not be opened. Only the failures that matter are told: where one binding works and the library is missing,
 * what keeps the other binding from working does not.
 */
final class OpenFailures {
    private static final int FIRST_UNKNOWN_VERSION = 44; // class files of Java 1 have 45

    private final Set<String> libraries = new LinkedHashSet<>();
    private final Set<String> bindings = new LinkedHashSet<>();
    private boolean missing;

    /** A binding that this Java cannot load. */
    void unusable(Throwable e) {
        Throwable cause = e.getCause() == null ? e : e.getCause();
        if (cause instanceof UnsupportedClassVersionError) {
            bindings.add(tooNew(String.valueOf(cause.getMessage())));
        } else {
            bindings.add("a binding cannot be loaded (" + e.getMessage() + "): check the class path or module path");
        }
    }

    /** Java says {@code a/b/C has been compiled by ... (class file version 66.0), this version ...}. */
    private static String tooNew(String message) {
        String name = message.startsWith("dev/torpor/ffm/") ? "ffm" : message.split(" ", 2)[0].replace('/', '.');
        String[] parts = message.split("class file version ", 2);
        String number = parts.length == 2 ? parts[1].split("\\D", 2)[0] : "";
        String needed = number.isEmpty() || number.length() > 4
                ? "a newer Java"
                : "Java " + (Integer.parseInt(number) - FIRST_UNKNOWN_VERSION) + " or later";
        return "the binding " + name + " needs " + needed + ", and this is Java "
                + Runtime.version().feature() + ": use a newer Java, or the binding jna (torpor-jna)";
    }

    /** A binding that does not work in this Java, or a library that it does not load. */
    void failed(String binding, String library, Throwable e) {
        if (e instanceof UnsatisfiedLinkError) {
            String other = library.indexOf('/') < 0 ? "" : otherMachine(library);
            missing |= other.isEmpty();
            libraries.add(other.isEmpty() ? String.valueOf(e.getMessage()) : other);
        } else {
            bindings.add("the binding " + binding + " does not work: " + e.getMessage());
        }
    }

    void noFile(String library) {
        libraries.add("there is no file " + library + ": check its path");
    }

    private static String otherMachine(String library) {
        try (RandomAccessFile file = new RandomAccessFile(library, "r")) {
            return Elf.isForX86(file)
                    ? ""
                    : library
                            + " is not a library for 64-bit x86: name the one that the NVIDIA driver has installed for it";
        } catch (IOException e) {
            return "";
        }
    }

    boolean isEmpty() {
        return libraries.isEmpty() && bindings.isEmpty();
    }

    String explain() {
        List<String> reasons = new ArrayList<>(libraries.isEmpty() ? bindings : libraries);
        return "The CUDA driver cannot be opened: " + String.join("; ", reasons) + "."
                + (missing
                        ? " Install the NVIDIA driver, or let the variable " + CudaOptions.LIBRARY_VARIABLE
                                + " name its library."
                        : "");
    }
}
