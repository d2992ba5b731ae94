package dev.torpor.contract;

import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * Programs around the driver. A test that needs one is skipped where it is missing or cannot work, and fails there if the variable
 * TORPOR_REQUIRE has its name among others.
 */
public final class Programs {
    private Programs() {}

    /** A CRIU that works. */
    public static Criu criu() {
        try {
            Criu criu = Criu.find();
            criu.check();
            return criu;
        } catch (TorporException e) {
            return without("criu", String.valueOf(e.getMessage()));
        }
    }

    private static <T> T without(String program, String reason) {
        String required = System.getenv().getOrDefault("TORPOR_REQUIRE", "");
        if (List.of(required.split("[ ,]+")).contains(program)) {
            throw new AssertionError("TORPOR_REQUIRE names " + program + ", and: " + reason);
        }
        return Assumptions.abort("needs " + program + ": " + reason);
    }
}
