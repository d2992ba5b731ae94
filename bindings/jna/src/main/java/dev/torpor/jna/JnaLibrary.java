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
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** A library that stays loaded. */
final class JnaLibrary implements LoadedLibrary {
    /** JNA unloads what nobody refers to any more, and the driver's threads would run on in what is gone. */
    private static final Set<NativeLibrary> LOADED = ConcurrentHashMap.newKeySet();

    /** JNA would let all libraries share their functions, and the shim call the driver's in place of its own of the same name. */
    private static final Map<String, Object> TO_ITSELF = Map.of(Library.OPTION_OPEN_FLAGS, 1); // RTLD_LAZY, RTLD_LOCAL

    private final NativeLibrary library;

    private JnaLibrary(NativeLibrary library) {
        this.library = library;
    }

    static JnaLibrary open(String library) {
        try {
            NativeLibrary loaded =
                    NativeLibrary.getInstance(library.indexOf('/') < 0 ? library : absolute(library), TO_ITSELF);
            LOADED.add(loaded);
            return new JnaLibrary(loaded);
        } catch (UnsatisfiedLinkError e) {
            throw withReasonOnly(e);
        } catch (ExceptionInInitializerError e) {
            throw withCause(library + " is not opened, because JNA does not start: " + e.getCause(), e);
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
