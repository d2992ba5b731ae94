package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.torpor.CopyEngine;
import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.GpuProcess;
import dev.torpor.PrimaryContext;
import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimControl;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.driver.CudaResult;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The shim in a target, and its copies in this process and in JVMs of their own, whose environment sets it up. */
public abstract class ShimContract extends TypedContract {
    private static final int MARGIN = 4096;
    private static final byte FILL = 0x5a;
    private static final int STREAMS = 3;

    /** Takes over every copy that is large enough for it, on any machine. */
    private static final Map<String, String> EAGER = ShimOptions.defaults()
            .copyStreams(STREAMS)
            .copyChunk(64 << 10)
            .copyMin(64 << 10)
            .copyStart(0)
            .environment();

    @Test
    void aProcessTellsWhichShimItCarriesAndIsSuspendedAllTheSame() {
        Map<String, String> environment = new HashMap<>();
        Shim shim = Shim.extract();
        shim.preload(environment);
        try (Target target = Target.start(environment, "--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.shim().map(ShimControl::loaded))
                    .contains(new Shim.Loaded(shim.version(), shim.library()));
            process.suspend();
            assertThat(process.shim()).isPresent();
            process.resume();
            target.assertMemoryIntact();
        }
    }

    @Test
    void aProcessWithoutAShimHasNone() {
        try (Target target = Target.start("--memory", SMALL)) {
            GpuProcess process = cuda.process(target.pid());
            assertThat(process.shim()).isEmpty();
        }
    }

    @Test
    void copiesOfAnySizeAndAlignmentArriveWhole() {
        try (PrimaryContext context = cuda.context(0)) {
            roundTrips(cuda, context, 30, 1 << 20);
        }
    }

    /** Copies this way and that, each checked by the driver's own copy of all around it. */
    private static void roundTrips(Cuda cuda, PrimaryContext context, int rounds, int largest) {
        SplittableRandom random = new SplittableRandom(largest);
        context.makeCurrent();
        for (int round = 0; round < rounds; round++) {
            int bytes = (int) Math.pow(largest, random.nextDouble());
            int hostOffset = random.nextInt(MARGIN);
            int deviceOffset = random.nextInt(MARGIN);
            roundTrip(cuda, context, random, bytes, hostOffset, deviceOffset);
        }
    }

    private static void roundTrip(
            Cuda cuda, PrimaryContext context, SplittableRandom random, int bytes, int hostOffset, int deviceOffset) {
        String what = bytes + " bytes at " + hostOffset + ", on the device at " + deviceOffset;
        CopyEngine copies = cuda.copies();
        ByteBuffer content = ByteBuffer.allocateDirect(bytes);
        while (content.hasRemaining()) {
            content.put((byte) random.nextInt());
        }
        content.rewind();
        int room = bytes + 2 * MARGIN;
        long memory = allocate(cuda, room);
        try {
            ByteBuffer host = filled(room).put(hostOffset, content, 0, bytes);
            host.position(hostOffset).limit(hostOffset + bytes);
            copies.toDevice(context, memory + deviceOffset, host);
            ByteBuffer device = ByteBuffer.allocateDirect(room);
            ok(cuda.driver().cuMemcpyDtoH_v2(device, memory, room));
            assertHolds(device, deviceOffset, content, "to the device: " + what);
            ByteBuffer back = filled(room).position(hostOffset).limit(hostOffset + bytes);
            copies.toHost(context, back, memory + deviceOffset);
            assertThat(back.position()).isEqualTo(host.position()).isEqualTo(hostOffset);
            assertHolds(back.clear(), hostOffset, content, "to the host: " + what);
        } finally {
            ok(cuda.driver().cuMemFree_v2(memory));
        }
    }

    private static void assertHolds(ByteBuffer all, int offset, ByteBuffer content, String what) {
        int bytes = content.remaining();
        assertThat(all.slice(offset, bytes).mismatch(content)).as(what).isEqualTo(-1);
        assertThat(all.slice(0, offset).mismatch(filled(offset)))
                .as("before " + what)
                .isEqualTo(-1);
        int after = all.capacity() - offset - bytes;
        assertThat(all.slice(offset + bytes, after).mismatch(filled(after)))
                .as("after " + what)
                .isEqualTo(-1);
    }

    private static ByteBuffer filled(int bytes) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes);
        while (buffer.hasRemaining()) {
            buffer.put(FILL);
        }
        return buffer.rewind();
    }

    private static long allocate(Cuda cuda, int bytes) {
        long[] memory = new long[1];
        ok(cuda.driver().cuMemAlloc_v2(memory, bytes));
        ok(cuda.driver().cuMemsetD8_v2(memory[0], FILL, bytes));
        return memory[0];
    }

    private static void ok(int result) {
        assertThat(result).isZero();
    }

    @Test
    void statisticsHaveNamesAndValues() {
        assertThat(cuda.copies().statistics().values()).isNotEmpty().allSatisfy((name, value) -> {
            assertThat(name).matches("[a-z_]+");
            assertThat(value).matches("[0-9.]+");
        });
    }

    @Test
    void whatTheDriverRefusesHasItsWords() {
        try (PrimaryContext context = cuda.context(0)) {
            CopyEngine copies = cuda.copies();
            ByteBuffer host = ByteBuffer.allocateDirect(16);
            context.makeCurrent();
            long memory = allocate(cuda, 8);
            TorporException outside = failure(Problem.DRIVER, () -> copies.toHost(host, 0x1234));
            assertThat(outside.cudaResult()).isEqualTo(CudaResult.INVALID_VALUE);
            assertThat(outside)
                    .hasMessageStartingWith("torpor_copy_to_host(16 bytes) failed: CUDA_ERROR_INVALID_VALUE (1), ");
            ok(cuda.driver().cuCtxSetCurrent(0));
            TorporException without = failure(Problem.DRIVER, () -> copies.toDevice(memory, host.limit(8)));
            assertThat(without.cudaResult()).isEqualTo(CudaResult.INVALID_CONTEXT);
            copies.toDevice(context, memory, host);
            ok(cuda.driver().cuMemFree_v2(memory));
        }
    }

    @Test
    void unfitHostMemoryIsRefusedBeforeTheCall() {
        CopyEngine copies = cuda.copies();
        ByteBuffer heap = ByteBuffer.allocate(8);
        ByteBuffer readOnly = ByteBuffer.allocateDirect(8).asReadOnlyBuffer();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> copies.toDevice(0, heap))
                .withMessageContaining("not direct");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> copies.toHost(heap, 0))
                .withMessageContaining("not direct");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> copies.toHost(readOnly, 0))
                .withMessageContaining("read-only");
    }

    @Test
    void aClosedCudaCopiesNoMore() {
        Cuda closed = Cuda.open(options());
        CopyEngine copies = closed.copies();
        closed.close();
        failure(Problem.CLOSED, () -> copies.toDevice(0, ByteBuffer.allocateDirect(8)));
        failure(Problem.CLOSED, closed::copies);
    }

    @Test
    void aContextThatIsClosedAfterItsCudaIsReleased() {
        cuda.initialize();
        int before = active();
        Cuda closed = Cuda.open(options());
        PrimaryContext context = closed.context(0);
        context.makeCurrent();
        closed.copies().toDevice(allocate(closed, 1 << 20), filled(1 << 20));
        closed.close();
        context.close();
        context.close();
        assertThat(active()).isEqualTo(before);
    }

    private int active() {
        int[] active = new int[1];
        assertThat(cuda.driver().cuDevicePrimaryCtxGetState(0, new int[1], active))
                .isZero();
        return active[0];
    }

    private static final String COPIER = "torpor-copy";

    private static void copyAndClose(Cuda cuda, PrimaryContext context) {
        context.makeCurrent();
        long memory = allocate(cuda, 1 << 20);
        cuda.copies().toDevice(memory, filled(1 << 20));
        long open = copiers();
        context.close();
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (copiers() > open - STREAMS && System.nanoTime() < until) {
            Thread.onSpinWait();
        }
        System.out.println("ended: " + (open - copiers()));
    }

    private static long copiers() {
        try (Stream<Path> threads = Files.list(Path.of("/proc/self/task"))) {
            return threads.filter(thread -> COPIER.equals(name(thread))).count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String name(Path thread) {
        try {
            return Files.readString(thread.resolve("comm")).strip();
        } catch (IOException e) {
            return ""; // it has ended
        }
    }

    /** A JVM of its own: copies, and says what came of it. */
    public static final class Main {
        private Main() {}

        public static void main(String[] args) {
            try (Cuda cuda = Cuda.open(CudaOptions.defaults().provider(args[0]).library(args[1]));
                    PrimaryContext context = cuda.context(0)) {
                if (args[2].equals("all")) {
                    roundTrips(cuda, context, 30, 5 << 20);
                } else if (args[2].equals("end")) {
                    copyAndClose(cuda, context);
                } else {
                    context.makeCurrent();
                    int bytes = Integer.parseInt(args[2]);
                    long memory = allocate(cuda, bytes);
                    cuda.copies().toDevice(memory, filled(bytes));
                    cuda.copies().toHost(filled(bytes), memory);
                }
                System.out.println(cuda.copies().statistics());
            } catch (TorporException e) {
                System.out.println(e.problem() + " " + e.cudaResult() + " " + e.getMessage());
            }
        }
    }

    private String inItsOwnJvm(Map<String, String> environment, String action, String... options) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command().orElseThrow());
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(List.of(provider(), Machine.libcuda(), action));
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().putAll(EAGER);
        builder.environment().putAll(environment);
        Process jvm = builder.start();
        String said = new String(jvm.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertThat(jvm.waitFor()).as(said).isZero();
        return said;
    }

    @Test
    void copiesByTheEngineArriveWholeToo() throws Exception {
        String statistics = inItsOwnJvm(Map.of(), "all");
        assertThat(statistics).matches("to_device=[1-9].* to_host=[1-9].*");
    }

    @ParameterizedTest
    @CsvSource({
        "1000, cuMemcpyHtoD, to_device",
        "1000, cuMemcpyDtoH, to_host",
        "1000000, cuMemcpyHtoD, to_device",
        "1000000, cuMemcpyDtoH, to_host"
    })
    void aFailureOfTheDriverIsTold(int bytes, String function, String direction) throws Exception {
        Machine.assumeSimulator("a real driver does not fail on demand");
        Map<String, String> faults = new SimulatorFaults()
                .fail(function, 700)
                .fail(function + "Async", 700)
                .environment();
        assertThat(inItsOwnJvm(faults, Integer.toString(bytes)))
                .startsWith("DRIVER 700 torpor_copy_" + direction + "(" + bytes
                        + " bytes) failed: CUDA_ERROR_ILLEGAL_ADDRESS (700), ");
    }

    @Test
    void closingAContextGivesUpWhatCopiesHoldInIt() throws Exception {
        Map<String, String> never =
                ShimOptions.defaults().copyIdle(Duration.ZERO).environment();
        assertThat(inItsOwnJvm(never, "end")).startsWith("ended: " + STREAMS + "\n");
    }

    @Test
    void aShimThatIsNotThereIsMissedWithTheReason() throws Exception {
        String message = inItsOwnJvm(Map.of(), "8", "-Dtorpor.native=/nowhere");
        assertThat(message).startsWith("NO_SHIM 0 There is no shim: no libtorpor.so in /nowhere");
    }
}
