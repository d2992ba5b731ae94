package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RestoreRecordsTest {
    private static final long SELF = ProcessHandle.current().pid();
    private static final int OTHER = 12345;
    private static final int THIRD = 23456;

    private final ProcFs proc = new ProcFs();
    private final long start = proc.startTime(SELF);
    private final long user = proc.user(SELF);

    @TempDir
    private Path top;

    private RestoreRecords records;

    @BeforeEach
    void begin() {
        records = recordsOf(user);
    }

    /** Each user has one directory here. */
    private RestoreRecords recordsOf(long asker) {
        return new RestoreRecords(proc, writer -> List.of(top.resolve("of-" + writer)), asker);
    }

    private RestoreNeed need(long bytes) {
        return new RestoreNeed(
                SELF, start, Map.of(new GpuUuid(new UUID(1, 2)), bytes), Optional.empty(), OptionalLong.empty());
    }

    private @Nullable RestoreNeed found(RestoreRecords by, long owner) {
        return by.find(SELF, start, owner);
    }

    private List<Path> files(long writer) throws IOException {
        try (Stream<Path> files = Files.list(top.resolve("of-" + writer))) {
            return files.toList();
        }
    }

    private static void mode(Path path, String permissions) throws IOException {
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
    }

    private static void give(Path path, int owner) throws IOException {
        Files.setAttribute(path, "unix:uid", owner, LinkOption.NOFOLLOW_LINKS);
    }

    @Test
    void aRecordIsFoundUntilItIsRemoved() throws IOException {
        assertThat(found(records, user)).isNull();
        records.write(need(5));
        assertThat(found(records, user)).isEqualTo(need(5));
        records.write(need(6));
        assertThat(found(recordsOf(user), user)).isEqualTo(need(6));
        assertThat(files(user)).hasSize(1);
        records.remove(SELF, start);
        assertThat(found(records, user)).isNull();
        assertThat(files(user)).isEmpty();
    }

    @Test
    void itIsItsOwnersAlone() throws IOException {
        records.write(need(5));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(top.resolve("of-" + user))))
                .isEqualTo("rwx------");
        assertThat(PosixFilePermissions.toString(
                        Files.getPosixFilePermissions(files(user).get(0))))
                .isEqualTo("rw-------");
    }

    @Test
    void aDirectoryOrAFileThatOthersMayWriteToIsNotBelieved() throws IOException {
        records.write(need(5));
        Path directory = top.resolve("of-" + user);
        Path file = files(user).get(0);
        for (String permissions : List.of("rwxrwx---", "rwx----w-", "rwxrwxrwt".replace('t', 'x'))) {
            mode(directory, permissions);
            assertThat(found(records, user)).as(permissions).isNull();
            records.write(need(6));
            assertThat(files(user)).as("none is written there").containsExactly(file);
        }
        mode(directory, "rwx------");
        mode(file, "rw-rw----");
        assertThat(found(records, user)).isNull();
        mode(file, "rw-r--r--");
        assertThat(found(records, user)).isEqualTo(need(5));
    }

    @Test
    void aLinkIsNotBelieved() throws IOException {
        records.write(need(5));
        Path file = files(user).get(0);
        Path elsewhere = Files.move(file, top.resolve("elsewhere"));
        Files.createSymbolicLink(file, elsewhere);
        assertThat(found(records, user)).isNull();
        Files.delete(file);
        Files.move(elsewhere, file);
        assertThat(found(records, user)).isEqualTo(need(5));
        Path directory = Files.move(top.resolve("of-" + user), top.resolve("moved"));
        Files.createSymbolicLink(top.resolve("of-" + user), directory);
        assertThat(found(records, user)).isNull();
    }

    @Test
    void recordsOfProcessesThatAreGoneAreRemoved() throws IOException {
        records.write(need(5));
        Path file = files(user).get(0);
        String name = file.getFileName().toString();
        Path gone = Files.copy(file, file.resolveSibling(name.replace("-" + SELF + "-", "-4194304-")));
        Path reused = Files.copy(file, file.resolveSibling(name.replace("-" + start, "-" + (start - 1))));
        Path elsewhere = Files.copy(file, file.resolveSibling("1-4194304-5")); // another pid namespace's
        Path other = Files.writeString(file.resolveSibling("notes"), "mine");
        assertThat(records.find(SELF, start - 1, user))
                .as("of the pid's earlier process")
                .isNull();
        records.write(need(6));
        assertThat(files(user)).containsExactlyInAnyOrder(file, elsewhere, other);
        assertThat(gone).doesNotExist();
        assertThat(reused).doesNotExist();
    }

    @Test
    void whatIsNoRecordIsIgnored() throws IOException {
        records.write(need(5));
        Path file = files(user).get(0);
        for (String text : List.of("", "torpor restore need 1\n", need(5).text().substring(3), "x".repeat(1 << 20))) {
            Files.writeString(file, text);
            assertThat(found(records, user)).isNull();
        }
        Files.delete(file);
        Files.createDirectory(file);
        assertThat(found(records, user)).isNull();
        records.remove(SELF, start);
        records.write(need(6)); // the directory was empty, and is gone
        assertThat(found(records, user)).isEqualTo(need(6));
    }

    @Test
    void withoutADirectoryThereIsSimplyNone() throws IOException {
        RestoreRecords nowhere = new RestoreRecords(proc, writer -> List.of(top.resolve("not/there")), user);
        nowhere.write(need(5));
        nowhere.remove(SELF, start);
        assertThat(nowhere.find(SELF, start, user)).isNull();
        Files.writeString(top.resolve("file"), "");
        RestoreRecords inAFile = new RestoreRecords(proc, writer -> List.of(top.resolve("file")), user);
        inAFile.write(need(5));
        assertThat(inAFile.find(SELF, start, user)).isNull();
    }

    @Test
    void theNextPlaceIsTakenWhereTheFirstCannotBeUsed() {
        Path second = top.resolve("second");
        RestoreRecords two = new RestoreRecords(proc, writer -> List.of(top.resolve("not/there"), second), user);
        two.write(need(5));
        assertThat(two.find(SELF, start, user)).isEqualTo(need(5));
        assertThat(second).isNotEmptyDirectory();
    }

    @Test
    void usersBelieveTheirOwnAndRootsAndRootTheTargetsOwners() throws IOException {
        Assumptions.assumeTrue(user == 0, "needs root, to give files to others");
        recordsOf(0).write(need(5));
        Path ofRoot = top.resolve("of-0");
        for (int writer : List.of(OTHER, THIRD)) {
            Path directory = Files.createDirectory(
                    top.resolve("of-" + writer),
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            Path file = Files.writeString(
                    directory.resolve(files(0).get(0).getFileName()),
                    need(writer).text());
            mode(file, "rw-------");
            give(file, writer);
            give(directory, writer);
        }
        assertThat(found(recordsOf(0), OTHER)).as("the newer one").isEqualTo(need(OTHER));
        assertThat(found(recordsOf(0), THIRD)).isEqualTo(need(THIRD));
        assertThat(found(recordsOf(0), 0)).isEqualTo(need(5));
        assertThat(found(recordsOf(OTHER), OTHER)).isEqualTo(need(OTHER));
        give(top.resolve("of-" + OTHER), THIRD); // somebody else's, in a place of this user's
        assertThat(found(recordsOf(OTHER), OTHER)).as("root's").isEqualTo(need(5));
        assertThat(found(recordsOf(0), OTHER)).isEqualTo(need(5));
        give(top.resolve("of-" + OTHER), OTHER);
        give(files(OTHER).get(0), THIRD);
        assertThat(found(recordsOf(OTHER), OTHER)).isEqualTo(need(5));
        recordsOf(0).remove(SELF, start);
        assertThat(ofRoot).isEmptyDirectory();
    }
}
