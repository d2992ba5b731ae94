package dev.torpor.jna;

import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.LoadedLibrary;

/** Calls through JNA. */
public final class JnaProvider implements DriverProvider {
    @Override
    public String name() {
        return "jna";
    }

    @Override
    public int priority() {
        return 10;
    }

    @Override
    public LoadedLibrary open(String library) {
        return JnaLibrary.open(library);
    }
}
