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
 * Programs around the driver. A test that needs one says so ({@link NeedsCriu}, {@link NeedsPodman}, {@link NeedsTmux}). It is skipped where the program is
 * missing or cannot work, and fails there if the variable TORPOR_REQUIRE has the program's name among others.
 */
public final class Programs {
    static final String CRIU = "criu";
    static final String PODMAN = "podman";
    static final String TMUX = "tmux";

    /** Linked statically. */
    static final Path BUSYBOX = Path.of("/bin/busybox");

    private Programs() {}

    /** A CRIU that works. */
    public static Criu criu() {
        DeclaredPrograms.check("NeedsCriu", CRIU, PODMAN);
        try {
            Criu criu = Criu.find();
            criu.check();
            return criu;
        } catch (TorporException e) {
            return without(CRIU, String.valueOf(e.getMessage()));
        }
    }

    /** A podman with a runtime that can checkpoint, and what a root file system is made of. */
    public static Podman podman() {
        DeclaredPrograms.check("NeedsPodman", PODMAN);
        if (Command.find("runc", "/usr/sbin").isEmpty()) {
            return without(PODMAN, "there is no runc");
        }
        if (!Files.isExecutable(BUSYBOX)) {
            return without(PODMAN, "there is no " + BUSYBOX);
        }
        Podman podman;
        try {
            podman = Podman.find().runtime("runc");
        } catch (TorporException e) {
            return without(PODMAN, String.valueOf(e.getMessage()));
        }
        criu();
        return podman;
    }

    /** A terminal that a program can be seen on, and typed at. */
    public static Path tmux() {
        DeclaredPrograms.check("NeedsTmux", TMUX);
        return Command.find("tmux", "/usr/bin").orElseGet(() -> without(TMUX, "there is no tmux in PATH or /usr/bin"));
    }

    static <T> T without(String program, String reason) {
        String required = System.getenv().getOrDefault("TORPOR_REQUIRE", "");
        if (List.of(required.split("[ ,]+")).contains(program)) {
            throw new AssertionError("TORPOR_REQUIRE names " + program + ", and: " + reason);
        }
        return Assumptions.abort("needs " + program + ": " + reason);
    }
}
