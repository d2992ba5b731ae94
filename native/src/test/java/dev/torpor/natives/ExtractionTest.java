package dev.torpor.natives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Where a library is put, and where it is not. */
class ExtractionTest {
    private static final Mounts NO_MOUNTS = new Mounts("");
    private static final byte[] CONTENT = "a library".getBytes(StandardCharsets.US_ASCII);
    private static final String NAME = "libx-1-0123.so";

    @TempDir
    private Path first;

    @TempDir
    private Path second;

    private int user;

    @BeforeEach
    void whoAmI() throws IOException {
        user = Extraction.user();
        first = first.toRealPath();
        second = second.toRealPath();
    }

    private Extraction into(Path... candidates) {
        return new Extraction(List.of(candidates), NO_MOUNTS, user);
    }

    private Path folder(Path candidate) {
        return candidate.resolve("torpor-" + Integer.toUnsignedString(user));
    }

    private static String refusal(Extraction extraction) {
        try {
            throw new AssertionError("placed at " + extraction.place(NAME, CONTENT));
        } catch (UnsatisfiedLinkError e) {
            return String.valueOf(e.getMessage());
        }
    }

    @Test
    void theFolderIsForItsOwnerAlone() throws IOException {
        Path file = into(first).place(NAME, CONTENT);
        assertThat(file).isEqualTo(folder(first).resolve(NAME)).hasBinaryContent(CONTENT);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder(first))))
                .isEqualTo("rwx------");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
    }

    @Test
    void whatIsThereAlreadyIsUsedAgain() throws IOException {
        Path file = into(first).place(NAME, CONTENT);
        Object inode = Files.getAttribute(file, "unix:ino");
        assertThat(into(first).place(NAME, CONTENT)).isEqualTo(file);
        assertThat(Files.getAttribute(file, "unix:ino")).isEqualTo(inode);
        assertThat(entries(folder(first))).containsExactly(NAME);
    }

    private static List<String> entries(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"b library", "a librar", "a library and more", ""})
    void aFileThatWasTamperedWithIsReplacedAndNotWrittenInto(String tampered) throws IOException {
        Path file = into(first).place(NAME, CONTENT);
        Files.writeString(file, tampered);
        try (SeekableByteChannel loaded = Files.newByteChannel(file)) {
            assertThat(into(first).place(NAME, CONTENT)).isEqualTo(file).hasBinaryContent(CONTENT);
            ByteBuffer still = ByteBuffer.allocate(100);
            loaded.read(still);
            assertThat(new String(still.array(), 0, still.position(), StandardCharsets.US_ASCII))
                    .isEqualTo(tampered);
        }
        assertThat(entries(folder(first))).containsExactly(NAME);
    }

    @Test
    void aFileThatOthersCanWriteIsReplaced() throws IOException {
        Path file = into(first).place(NAME, CONTENT);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw----"));
        into(first).place(NAME, CONTENT);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
    }

    @Test
    void aLinkInPlaceOfTheFileIsReplacedAndNotFollowed() throws IOException {
        Path elsewhere = Files.write(first.resolve("elsewhere"), CONTENT);
        Path file = into(first).place(NAME, CONTENT);
        Files.delete(file);
        Files.createSymbolicLink(file, elsewhere);
        assertThat(into(first).place(NAME, CONTENT)).isEqualTo(file).isRegularFile();
        assertThat(Files.isSymbolicLink(file)).isFalse();
    }

    @Test
    void aFolderThatIsALinkIsNotFollowed() throws IOException {
        Path elsewhere = Files.createDirectory(first.resolve("elsewhere"));
        Files.createSymbolicLink(folder(first), elsewhere);
        assertThat(refusal(into(first))).contains(folder(first) + " is not a folder");
        assertThat(entries(elsewhere)).isEmpty();
    }

    @Test
    void aFolderOfSomebodyElseIsRefused() throws IOException {
        Extraction somebody = new Extraction(List.of(first, second), NO_MOUNTS, user + 1);
        assertThat(refusal(somebody)).contains("belongs to user " + Integer.toUnsignedString(user));
        Path folder = first.resolve("torpor-" + (user + 1)); // made by root, whose folders everybody trusts
        assertThat(Files.exists(folder) ? entries(folder) : List.of()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"rwxrwx---", "rwx---rwx", "rwx----w-"})
    void aFolderThatOthersCanWriteIsRefused(String permissions) throws IOException {
        Files.setPosixFilePermissions(
                Files.createDirectory(folder(first)), PosixFilePermissions.fromString(permissions));
        assertThat(refusal(into(first))).contains(folder(first) + " can be written by others");
        assertThat(entries(folder(first))).isEmpty();
    }

    @Test
    void aFolderUnderOneThatEverybodyCanRenameInIsRefused() throws IOException {
        Path open = Files.createDirectory(first.resolve("open"));
        Path candidate = Files.createDirectory(open.resolve("candidate"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThat(refusal(into(candidate))).contains(open + " can be written by everybody");
        Files.setAttribute(open, "unix:mode", 01777);
        assertThat(into(candidate).place(NAME, CONTENT)).startsWith(candidate);
    }

    @Test
    void theNextFolderIsTakenWhereTheFirstCannotBe() {
        Path missing = first.resolve("missing");
        assertThat(into(missing, second).place(NAME, CONTENT)).startsWith(second);
    }

    @Test
    void theErrorHasTheReasonOfEachFolderAndSaysWhatToDo() throws IOException {
        Path missing = first.resolve("missing");
        Path blank = Files.createDirectory(first.resolve("with blank"));
        Path file = Files.createFile(first.resolve("file"));
        assertThat(refusal(into(missing, blank, file)))
                .contains(missing + ": there is no such folder; ")
                .contains(blank + ": LD_PRELOAD cannot hold")
                .contains(file + ": ")
                .contains("torpor.native.tmp")
                .endsWith("torpor.native one that holds the library already");
    }

    @Test
    void aFolderInThePlaceOfTheFileIsAReasonToo() throws IOException {
        Files.createDirectories(folder(first).resolve(NAME).resolve("full"));
        Files.setPosixFilePermissions(folder(first), PosixFilePermissions.fromString("rwx------"));
        assertThat(refusal(into(first))).contains(first + ": ");
        assertThat(entries(folder(first))).containsExactly(NAME);
        assertThat(into(first, second).place(NAME, CONTENT)).startsWith(second);
    }

    @Test
    void whereNoProgramMayBeRunNothingIsPut() throws IOException {
        Mounts mounts =
                new Mounts("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / " + first + " rw,nosuid,noexec - tmpfs x rw\n");
        assertThat(refusal(new Extraction(List.of(first), mounts, user))).contains(first + " is mounted noexec");
        assertThat(entries(folder(first))).isEmpty();
        assertThat(new Extraction(List.of(first, second), mounts, user).place(NAME, CONTENT))
                .startsWith(second);
    }

    @ParameterizedTest
    @CsvSource({
        "/a/b/c, /a/b",
        "/a/b, /a/b",
        "/a/bc,",
        "/a/b/d/e,",
        "/x y/z, /x y",
        "/covered/z,",
    })
    void theInnermostAndLastMountCounts(Path path, String point) {
        String mountinfo = """
                1 0 0:1 / / rw,relatime - ext4 x rw
                2 1 0:2 / /a/b rw,noexec,relatime shared:1 - tmpfs x rw
                3 2 0:3 / /a/b/d rw,relatime - tmpfs x rw
                4 1 0:4 / /x\\040y rw,noexec - tmpfs x rw
                5 1 0:5 / /covered rw,noexec - tmpfs x rw
                6 5 0:6 / /covered rw - tmpfs x rw,noexec
                """;
        assertThat(new Mounts(mountinfo).noexec(path)).isEqualTo(point);
    }

    @Test
    void manyAtATimeGetOneWholeFile() throws Exception {
        byte[] large = new byte[1 << 20];
        Arrays.fill(large, (byte) 7);
        int threads = 8;
        CyclicBarrier together = new CyclicBarrier(threads);
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            for (int round = 0; round < 10; round++) {
                Path candidate = Files.createDirectory(first.resolve("round" + round));
                Callable<byte[]> one = () -> {
                    together.await();
                    return Files.readAllBytes(into(candidate).place(NAME, large));
                };
                List<Future<byte[]>> all = new ArrayList<>();
                for (int i = 0; i < threads; i++) {
                    all.add(pool.submit(one));
                }
                for (Future<byte[]> read : all) {
                    assertThat(read.get()).isEqualTo(large);
                }
                assertThat(entries(folder(candidate))).containsExactly(NAME);
            }
        } finally {
            pool.shutdown();
        }
    }

    /** Prints where a library is put, or why not, given the candidates. */
    static final class Main {
        private Main() {}

        public static void main(String[] args) throws IOException {
            List<Path> candidates = Arrays.stream(args).map(Path::of).toList();
            try {
                System.out.println(
                        new Extraction(candidates, Mounts.ofThisProcess(), Extraction.user()).place(NAME, CONTENT));
            } catch (UnsatisfiedLinkError e) {
                System.out.println(e.getMessage());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"noexec, is mounted noexec", "ro, Read-only file system"})
    void aRealMount(String option, String reason) throws Exception {
        assumeTrue(run("true").equals("0"), "needs a mount namespace: 'unshare -r -m' does not work here");
        String mount = "mount -t tmpfs -o " + option + " tmpfs " + first + " && ";
        String java = ProcessHandle.current().info().command().orElseThrow() + " -cp " + "'"
                + System.getProperty("java.class.path") + "' '" + Main.class.getName() + "' ";
        assertThat(run(mount + java + first)).startsWith("no folder can take").contains(first.toString(), reason);
        assertThat(run(mount + java + first + " " + second)).startsWith(second.toString());
    }

    /** What a shell in a mount namespace of its own prints, and its exit status if that is all. */
    private static String run(String script) throws Exception {
        Process process = new ProcessBuilder("unshare", "-r", "-m", "sh", "-c", script)
                .redirectErrorStream(true)
                .start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int status = process.waitFor();
        return out.isEmpty() ? Integer.toString(status) : out;
    }

    @Test
    void theUserIsTheOwnerOfWhatItMakes() throws IOException {
        assertThat(Files.getAttribute(Files.createFile(first.resolve("mine")), "unix:uid"))
                .isEqualTo(user);
    }

    @Test
    void whatIsNotThereIsNamed() {
        assertThatExceptionOfType(UnsatisfiedLinkError.class)
                .isThrownBy(() -> into().place(NAME, CONTENT))
                .withMessageStartingWith("no folder can take " + NAME);
    }
}
