package dev.torpor.criu;

import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.tools.IoReason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;

/**
 * What CRIU counts, and writes into {@code stats-dump} and {@code stats-restore} beside the images (images/stats.proto of CRIU 4.1). Pages
 * are of 4 KiB.
 */
public final class CriuStatistics {
    private static final int IMG_SERVICE_MAGIC = 0x55105940; // criu/include/magic.h
    private static final int STATS_MAGIC = 0x57093306;
    private static final int DUMP = 1; // fields of stats_entry
    private static final int RESTORE = 2;

    private CriuStatistics() {}

    /**
     * Of a dump.
     *
     * @param freezing from the first process that was stopped to the last
     * @param frozen for how long they stood still
     * @param memoryDump within that, for finding and taking the pages
     * @param memoryWrite within that, for writing them
     * @param pagesScanned that were looked at
     * @param pagesSkippedParent that an earlier dump has
     * @param pagesWritten into the images
     * @param pagesLazy that stay where they are, to be fetched when they are needed
     */
    public record Dump(
            Duration freezing,
            Duration frozen,
            Duration memoryDump,
            Duration memoryWrite,
            long pagesScanned,
            long pagesSkippedParent,
            long pagesWritten,
            long pagesLazy) {}

    /**
     * Of a restore.
     *
     * @param pagesCompared with a parent's
     * @param pagesSkippedCow that a parent had already
     * @param forking for making the processes
     * @param restore all of it, from the beginning until they run
     * @param pagesRestored from the images
     */
    public record Restore(
            long pagesCompared, long pagesSkippedCow, Duration forking, Duration restore, long pagesRestored) {}

    /**
     * Reads what a dump has left.
     *
     * @param images the folder of the images
     * @throws TorporException {@link Problem#SNAPSHOT} if it is not there, or no statistics of a dump
     */
    public static Dump ofDump(Path images) {
        Message dump = read(images.resolve("stats-dump"), DUMP);
        return new Dump(
                micros(dump.number(1)),
                micros(dump.number(2)),
                micros(dump.number(3)),
                micros(dump.number(4)),
                dump.number(5),
                dump.number(6),
                dump.number(7),
                dump.number(9));
    }

    /**
     * Reads what a restore has left.
     *
     * @param images the folder of the images
     * @throws TorporException {@link Problem#SNAPSHOT} if it is not there, or no statistics of a restore
     */
    public static Restore ofRestore(Path images) {
        Message restore = read(images.resolve("stats-restore"), RESTORE);
        return new Restore(
                restore.number(1),
                restore.number(2),
                micros(restore.number(3)),
                micros(restore.number(4)),
                restore.number(5));
    }

    private static Message read(Path file, int field) {
        try {
            List<Message> messages = Message.ofImage(Files.readAllBytes(file), IMG_SERVICE_MAGIC, STATS_MAGIC);
            if (messages.size() != 1) {
                throw new Message.Malformed("it has " + messages.size() + " messages");
            }
            return messages.get(0).message(field);
        } catch (IOException e) {
            throw none(file, IoReason.of(e));
        } catch (Message.Malformed e) {
            throw none(file, String.valueOf(e.getMessage()));
        }
    }

    private static TorporException none(Path file, String reason) {
        return new TorporException(Problem.SNAPSHOT, file + " holds no statistics of CRIU: " + reason + ".");
    }

    private static Duration micros(long micros) {
        return Duration.of(micros, ChronoUnit.MICROS);
    }
}
