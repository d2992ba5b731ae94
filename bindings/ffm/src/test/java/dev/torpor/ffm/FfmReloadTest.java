package dev.torpor.ffm;

import dev.torpor.contract.ReloadContract;
import dev.torpor.natives.NativeLibrary;
import java.util.List;

class FfmReloadTest extends ReloadContract {
    @Override
    protected String provider() {
        return "ffm";
    }

    @Override
    protected List<Class<?>> brought() {
        return List.of(FfmProvider.class, NativeLibrary.class);
    }

    @Override
    protected String shared() {
        return "";
    }
}
