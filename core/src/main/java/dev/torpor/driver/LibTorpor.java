package dev.torpor.driver;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;

/**
 * The functions of {@code libtorpor.so}, the shim, in a process that has loaded it by name; {@code native/shim/torpor.h} declares
 * them. Each method is its C function, and every one may be called from any thread.
 */
public final class LibTorpor {
    private static final int STATISTICS_BYTES = 1000;

    private final LoadedLibrary library;
    private final NativeFunction copyToDevice;
    private final NativeFunction copyToHost;
    private final NativeFunction copyEnd;
    private final NativeFunction statistics;

    /** @throws UnsatisfiedLinkError if a function is missing, which is named */
    public LibTorpor(LoadedLibrary library) {
        this.library = library;
        copyToDevice = find("torpor_copy_to_device");
        copyToHost = find("torpor_copy_to_host");
        copyEnd = find("torpor_copy_end");
        statistics = find("torpor_statistics");
    }

    private NativeFunction find(String name) {
        NativeFunction function = library.find(name);
        if (function == null) {
            throw new UnsatisfiedLinkError("it has no function " + name);
        }
        return function;
    }

    /** {@code torpor_copy_to_device}, for a form of host memory that a binding has of its own. */
    public NativeFunction copyToDevice() {
        return copyToDevice;
    }

    /** {@code torpor_copy_to_host}, for a form of host memory that a binding has of its own. */
    public NativeFunction copyToHost() {
        return copyToHost;
    }

    /**
     * Copies to device memory of the current context.
     *
     * @param from a direct buffer, read from its position on
     * @return a {@code CUresult}
     * @throws IllegalArgumentException if {@code from} is not direct or has fewer bytes remaining than {@code bytes}
     */
    public int copyToDevice(long to, ByteBuffer from, long bytes) {
        long host = library.address(HostBuffer.source(from, bytes));
        try {
            return copyToDevice.call(to, host, bytes);
        } finally {
            Reference.reachabilityFence(from);
        }
    }

    /**
     * Copies from device memory of the current context.
     *
     * @param to a direct, writable buffer, written from its position on
     * @return a {@code CUresult}
     * @throws IllegalArgumentException if {@code to} is not direct, is read-only, or has fewer bytes remaining than {@code bytes}
     */
    public int copyToHost(ByteBuffer to, long from, long bytes) {
        long host = library.address(HostBuffer.destination(to, bytes));
        try {
            return copyToHost.call(host, from, bytes);
        } finally {
            Reference.reachabilityFence(to);
        }
    }

    /**
     * Gives up what the copies hold in the current context ({@code torpor_copy_end}); to be called before the context goes.
     *
     * @return a {@code CUresult}
     */
    public int copyEnd() {
        return copyEnd.call();
    }

    /** The line of statistics, {@code NAME=VALUE} separated by blanks. */
    public String statistics() {
        int room = STATISTICS_BYTES;
        while (true) {
            Scratch line = Scratch.zeroed(library, room);
            try {
                int length = statistics.call(line.at(0), (long) room);
                if (length < room) {
                    return library.text(line.at(0));
                }
                room = length + STATISTICS_BYTES; // it may have grown until the next call
            } finally {
                Reference.reachabilityFence(line);
            }
        }
    }
}
