package dev.torpor.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Asks the dynamic loader why it refuses a library, which {@link java.lang.foreign.SymbolLookup} does not tell. */
final class Loader {
    private static final int RTLD_NOW = 2;

    private Loader() {}

    static String reason(String library) {
        MethodHandle dlopen = function("dlopen", ADDRESS, JAVA_INT);
        MethodHandle dlerror = function("dlerror");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = (MemorySegment) dlopen.invokeExact(arena.allocateFrom(library), RTLD_NOW);
            MemorySegment error = (MemorySegment) dlerror.invokeExact();
            boolean silent = handle.address() != 0 || error.address() == 0;
            return silent
                    ? library + " cannot be opened"
                    : error.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable e) {
            throw FfmFunction.unexpected(e);
        }
    }

    private static MethodHandle function(String name, MemoryLayout... parameters) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(
                linker.defaultLookup().find(name).orElseThrow(), FunctionDescriptor.of(ADDRESS, parameters));
    }
}
