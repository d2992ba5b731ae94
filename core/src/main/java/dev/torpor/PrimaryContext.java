package dev.torpor;

import dev.torpor.driver.CudaDriver;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongConsumer;

/**
 * A reference to the primary context of a device (cuDevicePrimaryCtxRetain), given back by {@link #close}. While one exists
 * the GPU stays initialised. Thread-safe; which context is current is a matter of each thread.
 */
public final class PrimaryContext implements AutoCloseable {
    private final CudaDriver driver;
    private final int device;
    private final long handle;
    private final LongConsumer beforeRelease;
    private final AtomicBoolean closed = new AtomicBoolean();

    /** @param beforeRelease is given the handle while the context still exists */
    PrimaryContext(CudaDriver driver, int device, long handle, LongConsumer beforeRelease) {
        this.driver = driver;
        this.device = device;
        this.handle = handle;
        this.beforeRelease = beforeRelease;
    }

    /** Ordinal of the device. */
    public int device() {
        return device;
    }

    /** The {@code CUcontext}, for raw calls. */
    public long handle() {
        return handle;
    }

    /**
     * Makes it the context of the calling thread (cuCtxSetCurrent).
     *
     * @throws TorporException {@link Problem#CLOSED}, or {@link Problem#DRIVER} if the call fails
     */
    public void makeCurrent() {
        if (closed.get()) {
            throw new TorporException(
                    Problem.CLOSED, "The primary context of device " + device + " has been closed here.");
        }
        Calls.check(driver, driver.cuCtxSetCurrent(handle), "cuCtxSetCurrent(device " + device + ")");
    }

    /**
     * Makes it current, and waits for all work in it (cuCtxSynchronize).
     *
     * @throws TorporException as {@link #makeCurrent}
     */
    public void synchronize() {
        makeCurrent();
        Calls.check(driver, driver.cuCtxSynchronize(), "cuCtxSynchronize(device " + device + ")");
    }

    /**
     * Makes it current, and asks for the free device memory in bytes (cuMemGetInfo).
     *
     * @throws TorporException as {@link #makeCurrent}
     */
    public long freeBytes() {
        makeCurrent();
        long[] free = new long[1];
        Calls.check(driver, driver.cuMemGetInfo_v2(free, new long[1]), "cuMemGetInfo(device " + device + ")");
        return free[0];
    }

    /**
     * Gives the reference back (cuDevicePrimaryCtxRelease), once: later calls do nothing. The {@link Cuda} that it comes from may have been
     * closed before.
     */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            int result;
            try {
                beforeRelease.accept(handle);
            } finally {
                result = driver.cuDevicePrimaryCtxRelease_v2(device);
            }
            Calls.check(driver, result, "cuDevicePrimaryCtxRelease(device " + device + ")");
        }
    }
}
