package dev.torpor;

import static dev.torpor.Failures.failure;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** A context, a keeper or an engine is released once, in whichever order they are closed. */
class PrimaryContextTest {
    private static final String RELEASE = "cuDevicePrimaryCtxRelease_v2";

    private final FakeDriver driver = new FakeDriver();

    private static long releases(FakeDriver driver) {
        return driver.calls.stream().filter(RELEASE::equals).count();
    }

    /** 0 and 1: a context each; 2: a keeper; 3: the Cuda that they come from. */
    @Property
    void closingInAnyOrderAndTwiceReleasesOnce(@ForAll("orders") List<Integer> order) throws Exception {
        FakeDriver fake = new FakeDriver();
        Cuda cuda = fake.cuda();
        List<AutoCloseable> opened = List.of(cuda.context(0), cuda.context(0), cuda.keep(0), cuda);
        for (int i : order) {
            opened.get(i).close();
        }
        for (AutoCloseable each : opened) {
            each.close();
        }
        assertThat(releases(fake)).isEqualTo(3);
    }

    @Provide
    Arbitrary<List<Integer>> orders() {
        return Arbitraries.integers().between(0, 3).list().ofMaxSize(8);
    }

    @Test
    void severalThreadsReleaseOnce() {
        PrimaryContext context = driver.cuda().context(0);
        CountDownLatch go = new CountDownLatch(1);
        List<CompletableFuture<Void>> closing = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            closing.add(CompletableFuture.runAsync(() -> {
                try {
                    go.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                context.close();
            }));
        }
        go.countDown();
        closing.forEach(CompletableFuture::join);
        assertThat(releases(driver)).isEqualTo(1);
        failure(Problem.CLOSED, context::makeCurrent);
    }

    @Test
    void aReleaseComesAlsoWhereWhatComesBeforeItFails() {
        PrimaryContext context = new PrimaryContext(driver.driver(), 0, 1, handle -> {
            throw new NoClassDefFoundError("gone");
        });
        assertThatThrownBy(context::close).isInstanceOf(NoClassDefFoundError.class);
        context.close();
        assertThat(releases(driver)).isEqualTo(1);
    }

    @Test
    void aReleaseThatTheDriverRefusesIsSaidOnce() {
        PrimaryContext context = driver.cuda().context(0);
        driver.fail(RELEASE, 999);
        failure(Problem.DRIVER, context::close);
        context.close();
        assertThat(releases(driver)).isEqualTo(1);
    }
}
