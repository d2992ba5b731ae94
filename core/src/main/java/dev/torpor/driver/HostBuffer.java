package dev.torpor.driver;

import java.nio.ByteBuffer;

/** The rules for host memory that a copy reads or writes. */
final class HostBuffer {
    private HostBuffer() {}

    /**
     * Checks the source of a copy.
     *
     * @return the buffer
     * @throws IllegalArgumentException if it is not direct or too short
     */
    static ByteBuffer source(ByteBuffer buffer, long bytes) {
        if (!buffer.isDirect()) {
            throw new IllegalArgumentException("the host buffer is not direct: allocate a direct buffer");
        }
        if (bytes < 0 || bytes > buffer.remaining()) {
            throw new IllegalArgumentException("a copy of " + bytes + " bytes does not fit the " + buffer.remaining()
                    + " bytes remaining in the host buffer");
        }
        return buffer;
    }

    /**
     * Checks the destination of a copy.
     *
     * @return the buffer
     * @throws IllegalArgumentException if it is not direct, read-only or too short
     */
    static ByteBuffer destination(ByteBuffer buffer, long bytes) {
        if (buffer.isReadOnly()) {
            throw new IllegalArgumentException("the host buffer is read-only and cannot receive a copy");
        }
        return source(buffer, bytes);
    }
}
