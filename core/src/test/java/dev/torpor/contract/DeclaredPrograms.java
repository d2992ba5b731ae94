package dev.torpor.contract;

import java.util.Set;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Knows which programs the running test has declared by its tags, so that {@link Programs} gives it no others. */
final class DeclaredPrograms implements BeforeEachCallback, AfterEachCallback {
    private static volatile Set<String> tags = Set.of();

    @Override
    public void beforeEach(ExtensionContext context) {
        tags = Set.copyOf(context.getTags());
    }

    @Override
    public void afterEach(ExtensionContext context) {
        tags = Set.of();
    }

    /** Fails unless the running test has one of these tags: without it, the build would not run the test where the program is. */
    static void check(String annotation, String... any) {
        for (String tag : any) {
            if (tags.contains(tag)) {
                return;
            }
        }
        throw new AssertionError("This test needs " + any[0] + ": annotate it or its class with @" + annotation);
    }
}
