package dev.torpor.contract;

import java.time.Duration;
import java.util.Timer;
import java.util.TimerTask;
import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;

/** Interrupts a property that takes too long, as JUnit does with other tests. jqwik finds it by its entry in META-INF/services. */
public final class PropertyTimeout implements AroundPropertyHook {
    private static final Timer TIMER = new Timer("property timeout", true);

    private final Duration limit;

    /** For jqwik. */
    public PropertyTimeout() {
        this(Duration.ofMinutes(5));
    }

    PropertyTimeout(Duration limit) {
        this.limit = limit;
    }

    @Override
    public PropertyExecutionResult aroundProperty(PropertyLifecycleContext context, PropertyExecutor property) {
        Thread runner = Thread.currentThread();
        TimerTask interruption = new TimerTask() {
            @Override
            public void run() {
                System.err.println("A property is interrupted, since it has taken " + limit + ".");
                runner.interrupt();
            }
        };
        TIMER.schedule(interruption, limit.toMillis());
        try {
            return property.execute();
        } finally {
            interruption.cancel();
        }
    }
}
