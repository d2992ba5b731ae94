package dev.torpor.jna;

import com.sun.jna.Function;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import dev.torpor.driver.LoadedLibrary;
import dev.torpor.driver.NativeFunction;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A library that stays loaded. */
final class JnaLibrary implements LoadedLibrary {
    /**
     * RTLD_LAZY, RTLD_LOCAL and RTLD_NODELETE. By default JNA lets all libraries share their functions, and the shim would call the
     * driver's functions instead of its own of the same names; and JNA unloads a library that no object refers to, in which the
     * driver's threads still run.
     */
    private static final Map<String, Object> OPEN_FLAGS = Map.of(Library.OPTION_OPEN_FLAGS, 0x1001);

    private final NativeLibrary library;

    private JnaLibrary(NativeLibrary library) {
        this.library = library;
    }

    static JnaLibrary open(String library) {
        if (!JnaStart.FAILURE.isEmpty()) {
            throw new IllegalStateException(JnaStart.FAILURE);
        }
        try {
            NativeLibrary loaded =
                    NativeLibrary.getInstance(library.indexOf('/') < 0 ? library : absolute(library), OPEN_FLAGS);
            return new JnaLibrary(loaded);
        } catch (UnsatisfiedLinkError e) {
            throw withReasonOnly(e);
        }
    }

    /** JNA would take a relative path for a part of a name. */
    private static String absolute(String library) {
        return Path.of(library).toAbsolutePath().toString();
    }

    /** JNA's own message goes on to list the class path. */
    private static UnsatisfiedLinkError withReasonOnly(UnsatisfiedLinkError e) {
        Throwable[] tries = e.getSuppressed();
        return tries.length == 0 ? e : withCause(String.valueOf(tries[0].getMessage()), e);
    }

    private static UnsatisfiedLinkError withCause(String message, Throwable cause) {
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
        error.initCause(cause);
        return error;
    }

    @Override
    public @Nullable NativeFunction find(String name) {
        try {
            return new JnaFunction(library.getFunction(name));
        } catch (UnsatisfiedLinkError e) {
            return null;
        }
    }

    @Override
    public NativeFunction function(long address) {
        return new JnaFunction(Function.getFunction(new Pointer(address)));
    }

    @Override
    public long address(ByteBuffer direct) {
        return Pointer.nativeValue(Native.getDirectBufferPointer(direct)) + direct.position();
    }

    @Override
    public String text(long address) {
        return new Pointer(address).getString(0, StandardCharsets.UTF_8.name());
    }
}
