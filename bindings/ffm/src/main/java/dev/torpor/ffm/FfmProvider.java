package dev.torpor.ffm;

import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.LoadedLibrary;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Calls through {@code java.lang.foreign}. */
public final class FfmProvider implements DriverProvider {
    /** For {@link java.util.ServiceLoader}. */
    public FfmProvider() {}

    @Override
    public String name() {
        return "ffm";
    }

    @Override
    public int priority() {
        return 20;
    }

    @Override
    public LoadedLibrary open(String library) {
        return FfmLibrary.open(library);
    }

    @Override
    public @Nullable EarlyInitialization initializeEarly(String library, int device, Map<String, String> environment) {
        return EarlyStart.start(library, device, environment);
    }
}
