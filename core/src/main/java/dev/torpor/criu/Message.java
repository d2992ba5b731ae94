package dev.torpor.criu;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A message in protobuf's encoding, as far as Torpor reads it: numbers, texts, and messages in it (protobuf.dev, Encoding). A
 * field that is there twice has its last value.
 */
final class Message {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;
    private static final int LONGEST_VARINT = 70; // bits

    private final Map<Integer, Long> numbers = new HashMap<>();
    private final Map<Integer, ByteBuffer> contents = new HashMap<>();

    /** Bytes that are no such message; says what is wrong with them. */
    static final class Malformed extends Exception {
        private static final long serialVersionUID = 1;

        Malformed(String message) {
            super(message);
        }
    }

    private Message(ByteBuffer bytes) throws Malformed {
        try {
            while (bytes.hasRemaining()) {
                field(bytes);
            }
        } catch (BufferUnderflowException e) {
            throw new Malformed("it ends in the midst of a field");
        }
    }

    /** The messages of an image file, which begins with two numbers, and has the length of each message before it. */
    static List<Message> ofImage(byte[] file, int firstMagic, int secondMagic) throws Malformed {
        ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.remaining() < 2 * Integer.BYTES || bytes.getInt() != firstMagic || bytes.getInt() != secondMagic) {
            throw new Malformed("it begins with other numbers");
        }
        List<Message> messages = new ArrayList<>();
        while (bytes.hasRemaining()) {
            long length = bytes.remaining() < Integer.BYTES ? Long.MAX_VALUE : Integer.toUnsignedLong(bytes.getInt());
            messages.add(new Message(slice(bytes, length)));
        }
        return messages;
    }

    private void field(ByteBuffer bytes) throws Malformed {
        long key = varint(bytes);
        int field = (int) (key >>> 3);
        switch ((int) (key & 7)) {
            case VARINT -> numbers.put(field, varint(bytes));
            case FIXED64 -> numbers.put(field, bytes.getLong());
            case BYTES -> contents.put(field, slice(bytes, varint(bytes)));
            case FIXED32 -> numbers.put(field, (long) bytes.getInt());
            default -> throw new Malformed("field " + field + " is of an unknown kind");
        }
    }

    private static long varint(ByteBuffer bytes) throws Malformed {
        long value = 0;
        for (int shift = 0; shift < LONGEST_VARINT; shift += 7) {
            byte next = bytes.get();
            value |= (next & 0x7FL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new Malformed("it has a number of too many bytes");
    }

    private static ByteBuffer slice(ByteBuffer bytes, long length) throws Malformed {
        if (length < 0 || length > bytes.remaining()) {
            throw new Malformed("it is shorter than it says");
        }
        ByteBuffer slice = bytes.slice(bytes.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.position(bytes.position() + (int) length);
        return slice;
    }

    /** The value of a field; 0 if it is not there. */
    long number(int field) {
        return numbers.getOrDefault(field, 0L);
    }

    /** The text of a field; empty if it is not there. */
    String text(int field) {
        ByteBuffer bytes = contents.get(field);
        return bytes == null
                ? ""
                : StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
    }

    Message message(int field) throws Malformed {
        ByteBuffer bytes = contents.get(field);
        if (bytes == null) {
            throw new Malformed("field " + field + " is missing");
        }
        return new Message(bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN));
    }
}
