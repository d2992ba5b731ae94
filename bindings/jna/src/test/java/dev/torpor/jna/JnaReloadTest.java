package dev.torpor.jna;

import dev.torpor.contract.ReloadContract;
import dev.torpor.natives.NativeLibrary;
import java.util.List;

/** The server has JNA itself, as its documentation advises: an own one keeps a thread for half a minute. */
class JnaReloadTest extends ReloadContract {
    @Override
    protected String provider() {
        return "jna";
    }

    @Override
    protected List<Class<?>> brought() {
        return List.of(JnaProvider.class, NativeLibrary.class);
    }

    @Override
    protected String shared() {
        return "com.sun.jna.";
    }
}
