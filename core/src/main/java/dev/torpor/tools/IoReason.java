package dev.torpor.tools;

import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.NotLinkException;
import org.jspecify.annotations.Nullable;

/** Why a file cannot be used, in the words of a sentence. Java's own exceptions often have no text but the path. */
public final class IoReason {
    private IoReason() {}

    /** Like {@code permission denied}, without the path and without a full stop. */
    public static String of(IOException e) {
        if (e instanceof NoSuchFileException) {
            return "no such file or directory";
        } else if (e instanceof AccessDeniedException) {
            return "permission denied";
        } else if (e instanceof FileAlreadyExistsException) {
            return "it exists already";
        } else if (e instanceof NotDirectoryException) {
            return "not a directory";
        } else if (e instanceof DirectoryNotEmptyException) {
            return "the directory is not empty";
        } else if (e instanceof NotLinkException) {
            return "not a link";
        } else if (e instanceof EOFException) {
            return "it ends too early";
        } else if (e instanceof CharacterCodingException) {
            return "it is not UTF-8 text";
        } else if (e instanceof FileSystemException known) {
            return text(known.getReason());
        }
        return text(e.getMessage());
    }

    /** What Java writes as {@code FILE (Permission denied)} is the reason alone here: the sentence has the file. */
    private static String text(@Nullable String message) {
        if (message == null || message.isBlank()) {
            return "an input or output error";
        }
        int open = message.lastIndexOf(" (");
        return open >= 0 && message.startsWith("/") && message.endsWith(")")
                ? message.substring(open + 2, message.length() - 1)
                : message;
    }
}
