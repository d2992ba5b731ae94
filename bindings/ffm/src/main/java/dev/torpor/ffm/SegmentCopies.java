package dev.torpor.ffm;

import dev.torpor.CopyEngine;
import dev.torpor.driver.NativeFunction;
import java.lang.foreign.MemorySegment;

/**
 * Copies of a {@link CopyEngine} from and to memory segments, which unlike buffers may be larger than 2 GiB. They work in the
 * context that is current in the calling thread; a segment cannot be freed while it is copied.
 *
 * <p>Each throws {@link dev.torpor.TorporException} as the engine does; {@link IllegalArgumentException} if the segment is on the
 * heap, if it is to be written and read-only, or if the engine goes through another binding; {@link IllegalStateException} if its
 * arena has been closed; {@link WrongThreadException} if it belongs to another thread.
 */
public final class SegmentCopies {
    private SegmentCopies() {}

    /** Copies all bytes of a segment to device memory. */
    public static void toDevice(CopyEngine copies, long devicePointer, MemorySegment source) {
        check(source);
        copies.toDevice(source.byteSize(), function -> ours(function).call(devicePointer, source, source.byteSize()));
    }

    /** Fills all bytes of a segment from device memory. */
    public static void toHost(CopyEngine copies, MemorySegment destination, long devicePointer) {
        check(destination);
        if (destination.isReadOnly()) {
            throw new IllegalArgumentException("the segment is read-only and cannot receive a copy");
        }
        copies.toHost(
                destination.byteSize(),
                function -> ours(function).call(destination, devicePointer, destination.byteSize()));
    }

    private static void check(MemorySegment segment) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("the segment is on the heap: allocate it with an Arena");
        }
        if (!segment.scope().isAlive()) {
            throw new IllegalStateException("the arena of the segment has been closed");
        }
        if (!segment.isAccessibleBy(Thread.currentThread())) {
            throw new WrongThreadException("the segment belongs to another thread: allocate it with Arena.ofShared");
        }
    }

    private static FfmFunction ours(NativeFunction function) {
        if (function instanceof FfmFunction found) {
            return found;
        }
        throw new IllegalArgumentException(
                "the engine goes through another binding: open Cuda with CudaOptions.provider(\"ffm\")");
    }
}
