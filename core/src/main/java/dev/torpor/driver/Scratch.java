package dev.torpor.driver;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Native memory for the arguments of one call. Each thread keeps one and uses it again; a larger one serves a single call. */
final class Scratch {
    private static final int KEPT = 1024;
    private static final ThreadLocal<@Nullable Scratch> OWN = new ThreadLocal<>();

    final ByteBuffer bytes;
    private final long address;

    private Scratch(LoadedLibrary library, int size) {
        bytes = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
        address = library.address(bytes);
    }

    static Scratch of(LoadedLibrary library) {
        Scratch own = OWN.get();
        if (own == null) {
            own = new Scratch(library, KEPT);
            OWN.set(own);
        }
        return own;
    }

    /** The first so many bytes are zero. */
    static Scratch zeroed(LoadedLibrary library, int size) {
        if (size > KEPT) {
            return new Scratch(library, size);
        }
        Scratch own = of(library);
        for (int i = 0; i < size; i++) {
            own.bytes.put(i, (byte) 0);
        }
        return own;
    }

    /** Holds the text, terminated, from the offset on. */
    static Scratch text(LoadedLibrary library, int offset, String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        int end = offset + utf8.length;
        Scratch scratch = end < KEPT ? of(library) : new Scratch(library, end + 1);
        scratch.bytes.put(offset, utf8).put(end, (byte) 0);
        return scratch;
    }

    long at(int offset) {
        return address + offset;
    }

    /** Passes the result through, and on success hands out what the call has left at offset 0. */
    int give(int result, int[] out) {
        return give(result, 0, out);
    }

    int give(int result, int offset, int[] out) {
        if (result == 0) {
            out[0] = bytes.getInt(offset);
        }
        return result;
    }

    int give(int result, long[] out) {
        return give(result, 0, out);
    }

    int give(int result, int offset, long[] out) {
        if (result == 0) {
            out[0] = bytes.getLong(offset);
        }
        return result;
    }

    int give(int result, byte[] out, int length) {
        if (result == 0) {
            bytes.get(0, out, 0, length);
        }
        return result;
    }

    /** Passes the result through; until then the memory of a single call stays alive. */
    int used(int result) {
        try {
            return result;
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}
