package dev.torpor.benchmarks;

import java.io.IOException;
import java.util.List;

/** Makes the AOT caches of the variants that are named, or of all, unless there are some that this runtime accepts. */
public final class Prepare {
    private Prepare() {}

    /** Needs no GPU. */
    public static void main(String... names) throws IOException {
        try (Run run = Run.begin(Settings.parse("start", "--simulator"))) {
            AotCaches caches = new AotCaches(run);
            for (Variant variant : List.of(Variant.ffm(), Variant.jna(), Variant.bytedeco())) {
                if (names.length == 0 || List.of(names).contains(variant.name())) {
                    System.out.println(caches.with(variant).cache());
                }
            }
        }
    }
}
