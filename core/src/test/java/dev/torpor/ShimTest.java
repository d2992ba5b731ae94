package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.contract.Machine;
import dev.torpor.tools.ProcFs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ShimTest {
    /** In a file that can be preloaded, which the one that was built cannot be in every checkout. */
    private static final Shim BUILT = Shim.extract();

    @TempDir
    private Path directory = Path.of("");

    private static Shim built() {
        return BUILT;
    }

    private static void assertProblem(Problem problem, String words, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        TorporException.class, e -> assertThat(e.problem()).isEqualTo(problem))
                .hasMessageContaining(words);
    }

    @Test
    void theExtractedShimIsTheOneThatWasBuilt() throws IOException {
        Shim extracted = Shim.extract();
        assertThat(extracted.library()).isAbsolute().hasSameBinaryContentAs(Machine.built("libtorpor.so"));
        assertThat(extracted.version())
                .matches("\\d+\\.\\d+\\.\\d+.*")
                .isEqualTo(Shim.at(Machine.built("libtorpor.so")).version());
        assertThat(extracted).hasToString("shim " + extracted.version() + " at " + extracted.library());
    }

    @Test
    void whatIsNoShimIsRefused() throws IOException {
        Path text = Files.writeString(directory.resolve("libtorpor.so"), "no library");
        assertProblem(Problem.NO_SHIM, text + " is not the shim", () -> Shim.at(text));
        assertProblem(Problem.NO_SHIM, "is not the shim, or not there", () -> Shim.at(directory.resolve("nothing")));
        assertProblem(Problem.NO_SHIM, "is not the shim", () -> Shim.at(directory));
        assertProblem(Problem.NO_SHIM, "is not the shim", () -> Shim.at(Machine.built("libtorpor_early.so")));
    }

    @Test
    void aLibraryThatIsDamagedAnywhereIsNoReasonToFail() throws IOException {
        byte[] good = Files.readAllBytes(Machine.built("libtorpor.so"));
        Random random = new Random(1);
        Path file = directory.resolve("damaged.so");
        for (int round = 0; round < 2000; round++) {
            byte[] bad = Arrays.copyOf(good, random.nextInt(8) == 0 ? random.nextInt(1024) : 1024);
            for (int i = random.nextInt(6); i >= 0; i--) {
                bad[random.nextInt(Math.max(1, Math.min(bad.length, 700)))] ^= (byte) random.nextInt();
            }
            Files.write(file, bad.length == 0 ? new byte[1] : bad);
            try {
                assertThat(Shim.at(file).version()).isNotNull();
            } catch (TorporException e) {
                assertThat(e.problem()).isEqualTo(Problem.NO_SHIM);
            }
        }
    }

    /** An ELF file of nothing but notes. */
    private Path elf(int alignment, byte[]... notes) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] note : notes) {
            all.write(note);
        }
        ByteBuffer header = ByteBuffer.allocate(120).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(0, 0x464c457f).putShort(4, (short) 0x0102).putLong(32, 64).putShort(56, (short) 1);
        header.putInt(64, 4).putLong(72, 120).putLong(96, all.size()).putLong(112, alignment);
        Path file = directory.resolve("notes.so");
        try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
            out.write(header.array());
            out.write(all.toByteArray());
        }
        return file;
    }

    private static byte[] note(int alignment, String name, int type, String text) {
        int nameRoom = (name.length() + 1 + alignment - 1) / alignment * alignment;
        int textRoom = (text.length() + 1 + alignment - 1) / alignment * alignment;
        ByteBuffer note = ByteBuffer.allocate(12 + nameRoom + textRoom).order(ByteOrder.LITTLE_ENDIAN);
        note.putInt(name.length() + 1)
                .putInt(text.length() + 1)
                .putInt(type)
                .put(name.getBytes(StandardCharsets.UTF_8));
        note.position(12 + nameRoom).put(text.getBytes(StandardCharsets.UTF_8));
        return note.array();
    }

    @Test
    void theNoteIsFoundByOwnerAndTypeAmongOthers() throws IOException {
        assertThat(Shim.at(elf(
                                4,
                                note(4, "GNU", 1, "x"),
                                note(4, "Torpor", 2, "not yet"),
                                note(4, "Torpor", 1, "7.8.9-rc.1"),
                                note(4, "Torpor", 1, "too late")))
                        .version())
                .isEqualTo("7.8.9-rc.1");
        Path other = elf(4, note(4, "Torpo", 1, "x"), note(4, "Torpors", 1, "x"), note(4, "Torpor", 0, "x"));
        assertProblem(Problem.NO_SHIM, "is not the shim", () -> Shim.at(other));
    }

    @Test
    void thePreloadGoesBeforeWhatIsThere() {
        Map<String, String> environment =
                new HashMap<>(Map.of("LD_PRELOAD", "/a/x.so /b/y.so::z.so", "TORPOR_LOG", "off"));
        built().preload(environment, ShimOptions.defaults().copyStreams(3));
        assertThat(environment)
                .isEqualTo(Map.of(
                        "LD_PRELOAD", built().library() + ":/a/x.so:/b/y.so:z.so",
                        "TORPOR_LOG", "off",
                        "TORPOR_COPY_STREAMS", "3"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/old/libtorpor.so",
                "libtorpor.so",
                "/run/user/0/torpor-0/libtorpor-0.0.1-0123456789ab.so",
            })
    void aShimThatIsThereGivesWay(String present) {
        Map<String, String> environment = new HashMap<>(Map.of("LD_PRELOAD", "a.so:" + present + ":b.so"));
        built().preload(environment);
        assertThat(environment).isEqualTo(Map.of("LD_PRELOAD", built().library() + ":a.so:b.so"));
    }

    @Provide
    Arbitrary<List<String>> entries() {
        Arbitrary<String> other =
                Arbitraries.strings().withChars("ab/.-$").ofMinLength(1).ofMaxLength(8);
        Arbitrary<String> shim = Arbitraries.of(
                "/x/libtorpor.so", "libtorpor-1.so", built().library().toString());
        return Arbitraries.frequencyOf(net.jqwik.api.Tuple.of(4, other), net.jqwik.api.Tuple.of(1, shim))
                .list()
                .ofMaxSize(6);
    }

    @Property
    void othersStayInTheirOrderAndOneShimLeads(
            @ForAll("entries") List<String> entries, @ForAll("separators") List<String> separators) {
        StringBuilder present = new StringBuilder();
        for (int i = 0; i < entries.size(); i++) {
            present.append(separators.get(i)).append(entries.get(i));
        }
        Map<String, String> environment = new HashMap<>(Map.of("LD_PRELOAD", present.toString()));
        built().preload(environment);
        List<String> expected = new ArrayList<>(List.of(built().library().toString()));
        expected.addAll(
                entries.stream().filter(entry -> !entry.contains("libtorpor")).toList());
        assertThat(environment.get("LD_PRELOAD")).isEqualTo(String.join(":", expected));
        built().preload(environment);
        assertThat(environment.get("LD_PRELOAD")).isEqualTo(String.join(":", expected));
    }

    @Provide
    Arbitrary<List<String>> separators() {
        return Arbitraries.of(" ", ":", " : ", "::").list().ofSize(6);
    }

    @ParameterizedTest
    @ValueSource(strings = {"a b", "a:b", "$ORIGIN"})
    void aPathThatCannotBePreloadedIsRefusedAndNothingChanged(String folder) throws IOException {
        Path file = Files.createDirectory(directory.resolve(folder)).resolve("libtorpor.so");
        Shim shim = Shim.at(Files.copy(built().library(), file));
        Map<String, String> environment = new HashMap<>(Map.of("LD_PRELOAD", "a.so"));
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> shim.preload(environment, ShimOptions.defaults().copy(true)))
                .withMessageStartingWith(file + " cannot be preloaded");
        assertThat(environment).isEqualTo(Map.of("LD_PRELOAD", "a.so"));
    }

    /** A process that carries this library, once it has begun its own work. */
    private static Process carrying(Path library) throws IOException {
        ProcessBuilder builder = new ProcessBuilder("sh", "-c", "echo ready; read line");
        Shim.at(library).preload(builder);
        Process process = builder.start();
        assertThat(process.inputReader(StandardCharsets.UTF_8).readLine()).isEqualTo("ready");
        return process;
    }

    private Path copy(String name) throws IOException {
        return Files.copy(built().library(), directory.resolve(name)).toRealPath();
    }

    /** The same library with another version in its note. */
    private Path otherVersion(String name) throws IOException {
        byte[] library = Files.readAllBytes(built().library());
        String text = new String(library, StandardCharsets.ISO_8859_1);
        String other = text.replace(
                "Torpor\0\0" + built().version(),
                "Torpor\0\0" + "9" + built().version().substring(1));
        return Files.write(directory.resolve(name), other.getBytes(StandardCharsets.ISO_8859_1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"libtorpor.so", "preload.so"})
    void aProcessThatCarriesItIsFoundWhateverTheFileIsCalled(String name) throws Exception {
        Path library = copy(name);
        Process process = carrying(library);
        try {
            assertThat(Shim.of(process.pid())).contains(new Shim.Loaded(built().version(), library));
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    @ParameterizedTest
    @CsvSource({"libtorpor.so, true", "libtorpor.so, false", "preload.so, true"})
    void theVersionIsTheLoadedOnesAfterTheFileWasReplaced(String name, boolean deleted) throws Exception {
        Path library = copy(name);
        Process process = carrying(library);
        try {
            if (deleted) {
                Files.delete(library);
            } else {
                Files.move(otherVersion("new"), library, StandardCopyOption.ATOMIC_MOVE);
                assertThat(Shim.at(library).version()).startsWith("9").isNotEqualTo(built().version());
            }
            assertThat(Shim.of(process.pid())).contains(new Shim.Loaded(built().version(), library));
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    void aProcessWithoutItHasNone() throws Exception {
        Process process = new ProcessBuilder("sleep", "60").start();
        try {
            assertThat(Shim.of(process.pid())).isEmpty();
        } finally {
            process.destroyForcibly().waitFor();
        }
        assertProblem(Problem.NO_SUCH_PROCESS, "There is no process " + process.pid(), () -> Shim.of(process.pid()));
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 0, 4194305, Long.MAX_VALUE})
    void aPidWithoutAProcessIsRefused(long pid) {
        assertProblem(Problem.NO_SUCH_PROCESS, "There is no process " + pid, () -> Shim.of(pid));
    }

    private ProcFs fake(String maps) throws IOException {
        Path process = Files.createDirectory(directory.resolve("7"));
        Files.writeString(process.resolve("stat"), "7 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 100 20");
        Files.writeString(process.resolve("status"), "Tgid:\t7\nUid:\t1000\t1000\t1000\t1000\n");
        if (!maps.isEmpty()) {
            Files.writeString(process.resolve("maps"), maps);
        }
        return new ProcFs(directory.toString());
    }

    @Test
    void whoseProcessItIsIsSaidWhereItsMappingsCannotBeRead() throws IOException {
        ProcFs proc = fake("");
        assertProblem(
                Problem.NO_PERMISSION,
                "as its mappings cannot be read. Process 7 runs as user 1000",
                () -> new ShimScan(proc).of(7));
    }

    @Test
    void aReplacedShimThatNobodyMayLookAtIsNoAnswer() throws IOException {
        String maps = "7f00-7f01 r-xp 00000000 fe:00 44 /nowhere/libtorpor.so (deleted)\n";
        ProcFs proc = fake(maps);
        assertProblem(Problem.NO_PERMISSION, "/nowhere/libtorpor.so has been replaced", () -> new ShimScan(proc).of(7));
        Files.writeString(directory.resolve("7/maps"), maps.replace("libtorpor", "libother"));
        assertThat(new ShimScan(proc).of(7)).isEmpty();
    }

    /** What somebody who is not root falls back on. */
    @Test
    void theMemoryTellsWhereTheFileIsGone() throws IOException {
        ProcFs proc = fake("1000-2000 r-xp 00000000 fe:00 44 /nowhere/preload.so (deleted)\n");
        try (RandomAccessFile memory =
                new RandomAccessFile(directory.resolve("7/mem").toFile(), "rw")) {
            memory.seek(0x1000);
            memory.write(Files.readAllBytes(built().library()));
        }
        assertThat(new ShimScan(proc).of(7))
                .contains(new Shim.Loaded(built().version(), Path.of("/nowhere/preload.so")));
    }
}
