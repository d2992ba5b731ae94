package dev.torpor;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Reads a note of a 64-bit little-endian ELF file, or of its image in memory (elf(5)). */
final class Elf {
    private static final int MAGIC = 0x464c457f;
    private static final int HEADER_BYTES = 64;
    private static final int CLASS_AND_ORDER = 4; // offsets in the header
    private static final int MACHINE = 18;
    private static final int PROGRAM_HEADERS = 32;
    private static final int PROGRAM_HEADER_COUNT = 56;
    private static final int PROGRAM_HEADER_BYTES = 56;
    private static final int SEGMENT_OFFSET = 8; // offsets in a program header
    private static final int SEGMENT_BYTES = 32;
    private static final int SEGMENT_ALIGNMENT = 48;
    private static final int EM_X86_64 = 62;
    private static final int PT_NOTE = 4;
    private static final int NOTE_HEADER_BYTES = 12;
    private static final int LARGEST_NOTES = 1 << 16;

    private final RandomAccessFile file;
    private final long base;

    /** @param base where the image begins */
    Elf(RandomAccessFile file, long base) {
        this.file = file;
        this.base = base;
    }

    /** Whether it is a file of 64-bit x86, by its header. */
    static boolean isForX86(RandomAccessFile file) throws IOException {
        ByteBuffer header = new Elf(file, 0).read(0, HEADER_BYTES);
        return header != null
                && header.getInt(0) == MAGIC
                && header.getShort(CLASS_AND_ORDER) == 0x0102
                && header.getShort(MACHINE) == EM_X86_64;
    }

    /** The text of the first note of this owner and type; null if there is none, or the file is of another kind. */
    @Nullable
    String note(String owner, int type) throws IOException {
        ByteBuffer header = read(0, HEADER_BYTES);
        if (header == null || header.getInt(0) != MAGIC || header.getShort(CLASS_AND_ORDER) != 0x0102) {
            return null;
        }
        int count = Short.toUnsignedInt(header.getShort(PROGRAM_HEADER_COUNT));
        ByteBuffer segments = read(header.getLong(PROGRAM_HEADERS), count * PROGRAM_HEADER_BYTES);
        for (int at = 0; segments != null && at < segments.capacity(); at += PROGRAM_HEADER_BYTES) {
            long bytes = segments.getLong(at + SEGMENT_BYTES);
            if (segments.getInt(at) == PT_NOTE && bytes > 0 && bytes <= LARGEST_NOTES) {
                int alignment = segments.getLong(at + SEGMENT_ALIGNMENT) == 8 ? 8 : 4;
                ByteBuffer notes = read(segments.getLong(at + SEGMENT_OFFSET), (int) bytes);
                String found = notes == null ? null : find(notes, alignment, owner, type);
                if (found != null) {
                    return found;
                }
            }
        }
        return null;
    }

    private static @Nullable String find(ByteBuffer notes, int alignment, String owner, int type) {
        for (int at = 0; at + NOTE_HEADER_BYTES <= notes.capacity(); ) {
            int nameBytes = notes.getInt(at);
            int textBytes = notes.getInt(at + 4);
            int name = at + NOTE_HEADER_BYTES;
            long text = name + aligned(nameBytes, alignment);
            long next = text + aligned(textBytes, alignment);
            if (nameBytes < 0 || textBytes < 0 || text + textBytes > notes.capacity()) {
                return null;
            }
            if (notes.getInt(at + 8) == type && text(notes, name, nameBytes).equals(owner)) {
                return text(notes, (int) text, textBytes);
            }
            at = (int) Math.min(next, notes.capacity());
        }
        return null;
    }

    private static long aligned(long bytes, int alignment) {
        return (bytes + alignment - 1) / alignment * alignment;
    }

    /** Up to the terminating NUL. */
    private static String text(ByteBuffer notes, int at, int bytes) {
        int length = 0;
        while (length < bytes && notes.get(at + length) != 0) {
            length++;
        }
        byte[] text = new byte[length];
        notes.get(at, text);
        return new String(text, StandardCharsets.UTF_8);
    }

    /** Null if the file does not have that much. */
    private @Nullable ByteBuffer read(long offset, int bytes) throws IOException {
        if (offset < 0 || base + offset < 0) {
            return null;
        }
        byte[] content = new byte[bytes];
        file.seek(base + offset);
        int length = 0;
        for (int got; length < bytes && (got = file.read(content, length, bytes - length)) > 0; ) {
            length += got;
        }
        return length == bytes ? ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN) : null;
    }
}
