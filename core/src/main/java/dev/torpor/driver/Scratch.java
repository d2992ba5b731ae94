package dev.torpor.driver;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Native memory for the arguments of one call. Each thread keeps a buffer and uses it again; a larger one serves a single call.
 *
 * <p>What a thread keeps is an object of the JDK's own class, which holds its address behind its bytes: an object of this class would
 * keep the class loader of a reloaded application alive for as long as the thread.
 */
final class Scratch {
    private static final int KEPT = 1024;
    private static final ThreadLocal<@Nullable ByteBuffer> OWN = new ThreadLocal<>();

    final ByteBuffer bytes;
    private final long address;

    private Scratch(LoadedLibrary library, int size) {
        bytes = allocate(size);
        address = library.address(bytes);
    }

    private Scratch(ByteBuffer kept) {
        bytes = kept;
        address = kept.getLong(KEPT);
    }

    private static ByteBuffer allocate(int size) {
        return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    }

    static Scratch of(LoadedLibrary library) {
        ByteBuffer own = OWN.get();
        if (own == null) {
            own = allocate(KEPT + Long.BYTES);
            own.putLong(KEPT, library.address(own));
            OWN.set(own);
        }
        return new Scratch(own);
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
