package dev.torpor.driver;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** What a binding must do beyond calling: a native library that it has loaded, and access to native memory. */
public interface LoadedLibrary {
    /** The exported function of this name, or null where there is none. */
    @Nullable
    NativeFunction find(String name);

    /** The function at an address, which need not belong to this library. */
    NativeFunction function(long address);

    /** The native address of a direct buffer's position. */
    long address(ByteBuffer direct);

    /** Reads the NUL-terminated UTF-8 text at an address. */
    String text(long address);
}
