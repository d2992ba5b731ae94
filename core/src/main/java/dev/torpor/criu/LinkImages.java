package dev.torpor.criu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** What a dump has linked for files whose name was gone, as {@code remap-fpath.img} and {@code files.img} have it. */
final class LinkImages {
    private static final int IMG_COMMON_MAGIC = 0x54564319; // criu/include/magic.h
    private static final int REMAP_FPATH_MAGIC = 0x59133954;
    private static final int FILES_MAGIC = 0x56303138;
    private static final int REMAP_ID = 2; // images/remap-file-path.proto
    private static final int REMAP_TYPE = 3;
    private static final int LINKED = 0;
    private static final int FILE_ID = 2; // images/fdinfo.proto, file_entry
    private static final int REGULAR = 3;
    private static final int NAME = 6; // images/regfile.proto

    private LinkImages() {}

    /** Absolute paths; none where the images cannot be read. */
    static List<Path> paths(Path images) {
        try {
            Set<Long> linked = read(images, "remap-fpath.img", REMAP_FPATH_MAGIC).stream()
                    .filter(remap -> remap.number(REMAP_TYPE) == LINKED)
                    .map(remap -> remap.number(REMAP_ID))
                    .collect(Collectors.toSet());
            List<Message> files = linked.isEmpty() ? List.of() : read(images, "files.img", FILES_MAGIC);
            return files.stream()
                    .filter(file -> linked.contains(file.number(FILE_ID)))
                    .map(LinkImages::name)
                    .map(name -> Path.of("/").resolve(name))
                    .toList();
        } catch (IOException | Message.Malformed e) {
            return List.of();
        }
    }

    private static List<Message> read(Path images, String name, int magic) throws IOException, Message.Malformed {
        return Message.ofImage(Files.readAllBytes(images.resolve(name)), IMG_COMMON_MAGIC, magic);
    }

    private static String name(Message file) {
        try {
            return file.message(REGULAR).text(NAME);
        } catch (Message.Malformed e) {
            return "";
        }
    }
}
