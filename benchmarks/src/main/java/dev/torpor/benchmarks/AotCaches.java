package dev.torpor.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * AOT caches (JEP 483, 514, 515), trained on the simulator. One that this JVM refuses, or that a jar is newer than, is made
 * again: the JVM itself was seen to go on with a cache whose jars had changed.
 */
final class AotCaches {
    private final Run run;

    AotCaches(Run run) {
        this.run = run;
    }

    /** The variant with a cache that this JVM accepts. */
    Variant with(Variant variant) throws IOException {
        Variant cached = variant.cached(directory().resolve(variant.name() + ".aot"));
        if (!upToDate(cached) || !accepted(cached)) {
            make(variant, cached);
        }
        return cached;
    }

    private Path directory() throws IOException {
        try {
            return Files.createDirectories(Kit.caches());
        } catch (IOException e) {
            return run.scratch(); // a kit that cannot be written
        }
    }

    private static boolean upToDate(Variant cached) throws IOException {
        Path cache = cached.cache();
        if (cache == null || !Files.exists(cache)) {
            return false;
        }
        for (String jar : cached.classPath().split(":", -1)) {
            if (Files.getLastModifiedTime(Path.of(jar)).compareTo(Files.getLastModifiedTime(cache)) > 0) {
                return false;
            }
        }
        return true;
    }

    private boolean accepted(Variant cached) {
        try {
            Child.output(cached.command(List.of("-XX:AOTMode=on"), "none"), run.environment());
            return true;
        } catch (ChildFailure e) {
            return false;
        }
    }

    private void make(Variant variant, Variant cached) throws IOException {
        Path made = Files.createTempDirectory(run.scratch(), "aot").resolve("cache");
        Map<String, String> environment = new HashMap<>(run.environment());
        environment.put("TORPOR_LIBCUDA", Kit.simulator().toString());
        environment.put("TORPOR_SIM_DIR", run.scratch().resolve("training").toString());
        environment.put(
                "LD_LIBRARY_PATH",
                Kit.own().resolve("cudart") + ":" + Kit.simulator().getParent());
        try (Child target = Child.start(List.of(Kit.program("torpor-target").toString()), environment)) {
            target.line();
            Child.output(
                    variant.command(List.of("-XX:AOTCacheOutput=" + made), "train", Long.toString(target.pid())),
                    environment);
        }
        Path cache = cached.cache();
        if (cache != null) {
            Files.move(made, cache, StandardCopyOption.REPLACE_EXISTING);
        }
    }
}
