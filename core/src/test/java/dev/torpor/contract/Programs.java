package dev.torpor.contract;

import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.podman.Podman;
import dev.torpor.tools.Command;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * Programs around the driver. A test that needs one is skipped where it is missing or cannot work, and fails there if the variable
 * TORPOR_REQUIRE has its name among others.
 */
public final class Programs {
    /** Linked statically. */
    static final Path BUSYBOX = Path.of("/bin/busybox");

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

    /** A podman with a runtime that can checkpoint, and what a root file system is made of. */
    public static Podman podman() {
        criu();
        if (Command.find("runc", "/usr/sbin").isEmpty()) {
            return without("podman", "there is no runc");
        }
        if (!Files.isExecutable(BUSYBOX)) {
            return without("podman", "there is no " + BUSYBOX);
        }
        try {
            return Podman.find().runtime("runc");
        } catch (TorporException e) {
            return without("podman", String.valueOf(e.getMessage()));
        }
    }

    static <T> T without(String program, String reason) {
        String required = System.getenv().getOrDefault("TORPOR_REQUIRE", "");
        if (List.of(required.split("[ ,]+")).contains(program)) {
            throw new AssertionError("TORPOR_REQUIRE names " + program + ", and: " + reason);
        }
        return Assumptions.abort("needs " + program + ": " + reason);
    }
}
