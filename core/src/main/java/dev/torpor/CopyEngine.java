package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.LibTorpor;
import dev.torpor.driver.NativeFunction;
import java.nio.ByteBuffer;
import java.util.function.ToIntFunction;

/**
 * Copies by many streams between pageable host memory and device memory of this process, without the shim having been preloaded.
 * They are ordered like cuMemcpyHtoD and cuMemcpyDtoH, and complete when they return; small ones, and those that the engine cannot
 * help, are made by the driver. The variables of {@link ShimOptions} in the environment of this process are its settings.
 * Thread-safe; the current context is a matter of each thread, as with the driver. It lives as long as the {@link Cuda} that it
 * comes from.
 *
 * <p>Every copy throws {@link TorporException}: {@link Problem#CLOSED}, or {@link Problem#DRIVER} with what the driver answers,
 * for example 1 for memory that is not of an allocation, 3 before CUDA is initialised, 201 without a context.
 */
public final class CopyEngine {
    private final Cuda cuda;
    private final CudaDriver driver;
    private final LibTorpor library;

    private CopyEngine(Cuda cuda, LibTorpor library) {
        this.cuda = cuda;
        this.driver = cuda.driver();
        this.library = library;
    }

    /** @throws TorporException {@link Problem#NO_SHIM} */
    static CopyEngine open(Cuda cuda, DriverProvider provider) {
        Shim shim = Shim.extract();
        try {
            return new CopyEngine(
                    cuda, new LibTorpor(provider.open(shim.library().toString())));
        } catch (LinkageError | IllegalStateException e) {
            throw new TorporException(
                    Problem.NO_SHIM,
                    "The " + shim + " cannot be loaded through " + provider.name() + ": " + e.getMessage() + ".");
        }
    }

    /**
     * Copies the remaining bytes of a buffer to device memory of the current context. The buffer's position stays.
     *
     * @throws IllegalArgumentException if the buffer is not direct
     */
    public void toDevice(long devicePointer, ByteBuffer source) {
        long bytes = source.remaining();
        toDevice(bytes, function -> library.copyToDevice(devicePointer, source, bytes));
    }

    /** As {@link #toDevice(long, ByteBuffer)}, in a context, which stays current. */
    public void toDevice(PrimaryContext context, long devicePointer, ByteBuffer source) {
        context.makeCurrent();
        toDevice(devicePointer, source);
    }

    /**
     * Fills what remains of a buffer from device memory of the current context. The buffer's position stays.
     *
     * @throws IllegalArgumentException if the buffer is not direct, or is read-only
     */
    public void toHost(ByteBuffer destination, long devicePointer) {
        long bytes = destination.remaining();
        toHost(bytes, function -> library.copyToHost(destination, devicePointer, bytes));
    }

    /** As {@link #toHost(ByteBuffer, long)}, in a context, which stays current. */
    public void toHost(PrimaryContext context, ByteBuffer destination, long devicePointer) {
        context.makeCurrent();
        toHost(destination, devicePointer);
    }

    /**
     * Copies to the device from a form of host memory that a binding has of its own.
     *
     * @param call makes the call of {@code torpor_copy_to_device} and answers its result
     */
    public void toDevice(long bytes, ToIntFunction<NativeFunction> call) {
        make("torpor_copy_to_device", bytes, library.copyToDevice(), call);
    }

    /**
     * Copies from the device to a form of host memory that a binding has of its own.
     *
     * @param call makes the call of {@code torpor_copy_to_host} and answers its result
     */
    public void toHost(long bytes, ToIntFunction<NativeFunction> call) {
        make("torpor_copy_to_host", bytes, library.copyToHost(), call);
    }

    private void make(String name, long bytes, NativeFunction function, ToIntFunction<NativeFunction> call) {
        Calls.check(cuda.driver(), call.applyAsInt(function), name + "(" + bytes + " bytes)");
    }

    /** Gives up what the copies hold in a context, also after {@link Cuda#close}; the calling thread's current context stays. */
    void end(long context) {
        long[] before = new long[1];
        if (driver.cuCtxGetCurrent(before) == 0 && driver.cuCtxSetCurrent(context) == 0) {
            try {
                library.copyEnd();
            } finally {
                driver.cuCtxSetCurrent(before[0]);
            }
        }
    }

    /** What the engine has done in this process so far. */
    public ShimStatistics statistics() {
        return ShimStatistics.parse(library.statistics());
    }
}
