package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.EarlyInitialization;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** The first use of a GPU, phase by phase. */
final class WarmUp {
    private static final long FIRST_ALLOCATION_BYTES = 2 << 20;

    private final Cuda cuda;
    private final CudaDriver driver;
    private final List<Phase> phases = new ArrayList<>();
    private final long begin = System.nanoTime();
    private final long loadNanos;
    private long last = begin;

    WarmUp(Cuda cuda, long loadNanos) {
        this.cuda = cuda;
        this.driver = cuda.driver();
        this.loadNanos = loadNanos;
    }

    Keeper run(int ordinal) {
        phases.add(Phase.of("library load", loadNanos));
        cuda.driverVersion();
        cuda.setEnvironment();
        lap("link");
        cuda.initialize();
        lap("cuInit");
        PrimaryContext context = retain(ordinal);
        try {
            allocate(context);
            return new Keeper(context, report(ordinal));
        } catch (Throwable t) {
            context.close();
            throw t;
        }
    }

    private PrimaryContext retain(int ordinal) {
        PrimaryContext claimed = cuda.claimEarly(ordinal);
        EarlyInitialization.Outcome early = cuda.earlyOutcome();
        if (claimed != null && early != null) {
            reportAsTimed(early);
            return claimed;
        }
        int device = cuda.deviceOf(ordinal);
        lap("device get");
        PrimaryContext context = cuda.retain(device);
        lap("context retain");
        return context;
    }

    /** What ran on the native thread has times of its own; how long Java waited for it is one more phase. */
    private void reportAsTimed(EarlyInitialization.Outcome early) {
        Phase waited = phases.remove(phases.size() - 1);
        phases.add(Phase.of("cuInit", early.initNanos()));
        phases.add(Phase.of("device get", early.deviceGetNanos()));
        phases.add(Phase.of("context retain", early.retainNanos()));
        phases.add(new Phase("of these waited for", waited.duration()));
        last = System.nanoTime();
    }

    /** Leaves the caller's context current. */
    private void allocate(PrimaryContext context) {
        long[] before = new long[1];
        long[] address = new long[1];
        Calls.check(driver, driver.cuCtxGetCurrent(before), "cuCtxGetCurrent");
        context.makeCurrent();
        try {
            Calls.check(driver, driver.cuMemAlloc_v2(address, FIRST_ALLOCATION_BYTES), "cuMemAlloc(2 MiB)");
            Calls.check(driver, driver.cuMemFree_v2(address[0]), "cuMemFree");
        } finally {
            if (driver.cuCtxSetCurrent(before[0]) != CudaResult.SUCCESS) {
                driver.cuCtxSetCurrent(0); // the caller's context had been destroyed
            }
        }
        lap("first allocation");
    }

    private void lap(String name) {
        long now = System.nanoTime();
        phases.add(Phase.of(name, now - last));
        last = now;
    }

    private WarmUpReport report(int ordinal) {
        Duration total = Duration.ofNanos(loadNanos + last - begin);
        return new WarmUpReport(ordinal, phases, total, cuda.earlyOutcome() != null, cuda.simulated());
    }
}
