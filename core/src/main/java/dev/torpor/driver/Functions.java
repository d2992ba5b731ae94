package dev.torpor.driver;

import java.lang.reflect.Proxy;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** The functions of a library, each looked up when it is first called. One that is missing answers with a result code. */
class Functions {
    final LoadedLibrary library;
    private final int missing;
    private final ConcurrentHashMap<String, NativeFunction> known = new ConcurrentHashMap<>();

    Functions(LoadedLibrary library, int missing) {
        this.library = library;
        this.missing = missing;
    }

    final NativeFunction get(String name) {
        NativeFunction function = known.get(name);
        return function == null ? add(name) : function;
    }

    private NativeFunction add(String name) {
        NativeFunction found = find(name);
        NativeFunction function = found == null ? answering(missing) : found;
        known.put(name, function);
        return function;
    }

    @Nullable
    NativeFunction find(String name) {
        return library.find(name);
    }

    private static NativeFunction answering(int result) {
        return (NativeFunction) Proxy.newProxyInstance(
                NativeFunction.class.getClassLoader(),
                new Class<?>[] {NativeFunction.class},
                (proxy, method, args) -> method.getReturnType() == long.class ? (Object) 0L : (Object) result);
    }
}
