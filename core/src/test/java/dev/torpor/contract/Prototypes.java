package dev.torpor.contract;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The C declarations under native/abi, which the native build compares with NVIDIA's own headers. */
final class Prototypes {
    enum Kind {
        /** Fits the lower half of a register. */
        INT,
        /** An integer or a handle that fills a register. */
        LONG,
        POINTER
    }

    record Prototype(Kind result, List<Kind> parameters) {}

    private static final String INTS =
            "int|unsigned int|unsigned char|CUresult|CUdevice|CUdevice_attribute|nvmlReturn_t";
    private static final String LONGS =
            "size_t|cuuint64_t|CUdeviceptr|CUcontext|CUmodule|CUfunction|CUstream|nvmlDevice_t";

    private final String text;

    /** @param header for example {@code cuda_functions.h}, relative to {@code native/abi} */
    Prototypes(String header) {
        Path file = Machine.built("..").resolve("abi").resolve(header);
        try {
            text = Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Prototype of(String function) {
        Matcher m = find("^(.+\\W)" + function + "\\((.*)\\);$");
        return new Prototype(kind(m.group(1)), parameters(m.group(2)));
    }

    /** The offset of a structure's field. */
    int offset(String structure, String field) {
        return Integer.parseInt(
                find("^FIELD\\(" + structure + ", " + field + ", (\\d+)\\)$").group(1));
    }

    /** The size of a type. */
    int size(String type) {
        return Integer.parseInt(find("^SIZE\\(" + type + ", (\\d+)\\)$").group(1));
    }

    private Matcher find(String line) {
        Matcher m = Pattern.compile(line, Pattern.MULTILINE).matcher(text);
        if (!m.find()) {
            throw new AssertionError("native/abi has no " + line);
        }
        return m;
    }

    private static List<Kind> parameters(String list) {
        List<Kind> kinds = new ArrayList<>();
        if (!list.equals("void")) {
            for (String parameter : list.split(",", -1)) {
                kinds.add(kind(parameter.replaceFirst("\\w+$", "")));
            }
        }
        return kinds;
    }

    private static Kind kind(String declared) {
        String type = declared.replace("const ", "").replace("TORPOR_API ", "").strip();
        if (type.endsWith("*")) {
            return Kind.POINTER;
        }
        if (type.matches(INTS)) {
            return Kind.INT;
        }
        if (type.matches(LONGS)) {
            return Kind.LONG;
        }
        throw new AssertionError("of which kind is " + type + "?");
    }
}
