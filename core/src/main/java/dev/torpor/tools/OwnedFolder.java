package dev.torpor.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** A folder for files that a process makes itself. */
public final class OwnedFolder {
    private OwnedFolder() {}

    /**
     * Makes one that is a user's alone.
     *
     * @throws IOException if something has the name, or this process may not
     */
    public static void make(Path folder, long user) throws IOException {
        Files.createDirectory(
                folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.setAttribute(folder, "unix:uid", Math.toIntExact(user), LinkOption.NOFOLLOW_LINKS);
    }
}
