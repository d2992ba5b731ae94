package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ServiceLoader;
import java.util.concurrent.CountDownLatch;
import net.jqwik.api.lifecycle.LifecycleHook;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;
import org.junit.jupiter.api.Test;

class PropertyTimeoutTest {
    private static final CountDownLatch NEVER = new CountDownLatch(1);

    @Test
    void aPropertyThatHangsIsInterrupted() {
        PropertyExecutionResult failed = none(PropertyExecutionResult.class);
        PropertyTimeout timeout = new PropertyTimeout(Duration.ofMillis(1));
        assertThat(timeout.aroundProperty(none(PropertyLifecycleContext.class), () -> {
                    try {
                        NEVER.await();
                    } catch (InterruptedException e) {
                        return failed;
                    }
                    throw new AssertionError("it has ended");
                }))
                .isSameAs(failed);
    }

    @Test
    void jqwikFindsIt() {
        assertThat(ServiceLoader.load(LifecycleHook.class)).hasAtLeastOneElementOfType(PropertyTimeout.class);
    }

    private static <T> T none(Class<T> type) {
        return type.cast(
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, words) -> {
                    if (method.getName().equals("hashCode")) {
                        return 0;
                    }
                    throw new UnsupportedOperationException(method.getName());
                }));
    }
}
