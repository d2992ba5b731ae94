package dev.torpor.ffm;

import dev.torpor.driver.LoadedLibrary;
import dev.torpor.driver.NativeFunction;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** A library that stays loaded. */
final class FfmLibrary implements LoadedLibrary {
    private final SymbolLookup symbols;

    private FfmLibrary(SymbolLookup symbols) {
        this.symbols = symbols;
    }

    static FfmLibrary open(String library) {
        try {
            return new FfmLibrary(SymbolLookup.libraryLookup(library, Arena.global()));
        } catch (IllegalArgumentException e) {
            UnsatisfiedLinkError error = new UnsatisfiedLinkError(Loader.reason(library));
            error.initCause(e);
            throw error;
        } catch (IllegalCallerException e) {
            throw new IllegalStateException(
                    "this Java denies native access: start it with --enable-native-access=" + callers(), e);
        }
    }

    private static String callers() {
        Module module = FfmLibrary.class.getModule();
        return module.isNamed() ? module.getName() : "ALL-UNNAMED";
    }

    @Override
    public @Nullable NativeFunction find(String name) {
        MemorySegment address = symbols.find(name).orElse(MemorySegment.NULL);
        return address.address() == 0 ? null : new FfmFunction(address);
    }

    @Override
    public NativeFunction function(long address) {
        return new FfmFunction(MemorySegment.ofAddress(address));
    }

    @Override
    public long address(ByteBuffer direct) {
        return MemorySegment.ofBuffer(direct).address();
    }

    @Override
    public String text(long address) {
        return MemorySegment.ofAddress(address).reinterpret(Long.MAX_VALUE).getString(0);
    }
}
