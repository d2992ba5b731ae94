package dev.torpor.ffm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.torpor.CopyEngine;
import dev.torpor.Cuda;
import dev.torpor.CudaOptions;
import dev.torpor.PrimaryContext;
import dev.torpor.TorporException;
import dev.torpor.contract.Machine;
import dev.torpor.driver.CudaResult;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SegmentCopiesTest {
    private static final int BYTES = 3_000_001;

    private Cuda cuda;
    private PrimaryContext context;
    private CopyEngine copies;
    private long memory;

    @BeforeEach
    void begin() {
        Machine.cuda(new FfmProvider());
        cuda = Cuda.open(CudaOptions.defaults().provider("ffm").library(Machine.libcuda()));
        context = cuda.context(0);
        context.makeCurrent();
        copies = cuda.copies();
        memory = allocate(BYTES);
    }

    private long allocate(long bytes) {
        long[] pointer = new long[1];
        assertThat(cuda.driver().cuMemAlloc_v2(pointer, bytes)).isZero();
        return pointer[0];
    }

    @AfterEach
    void end() {
        if (context != null) {
            cuda.driver().cuMemFree_v2(memory);
            context.close();
            cuda.close();
        }
    }

    @Test
    void aSliceIsCopiedThereAndBack() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate(BYTES + 100);
            for (long i = 0; i < all.byteSize(); i++) {
                all.set(ValueLayout.JAVA_BYTE, i, (byte) ((i * i) >>> 3));
            }
            SegmentCopies.toDevice(copies, memory, all.asSlice(7, BYTES).asReadOnly());
            MemorySegment back = arena.allocate(BYTES + 100);
            SegmentCopies.toHost(copies, back.asSlice(11, BYTES), memory);
            assertThat(back.asSlice(11, BYTES).mismatch(all.asSlice(7, BYTES))).isEqualTo(-1);
            assertThat(back.asSlice(0, 11).mismatch(MemorySegment.ofArray(new byte[11])))
                    .isEqualTo(-1);
            assertThat(back.asSlice(11 + BYTES).mismatch(MemorySegment.ofArray(new byte[89])))
                    .isEqualTo(-1);
        }
    }

    @Test
    void aCopyMayBeLargerThanABuffer() {
        long bytes = (2L << 30) + (1 << 20);
        Machine.assumeGpu("the simulator takes minutes for 4 GiB on a small machine");
        long large = allocate(bytes);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment there = arena.allocate(bytes);
            MemorySegment end = there.asSlice(2L << 30);
            end.fill((byte) 0x5a);
            SegmentCopies.toDevice(copies, large, there);
            MemorySegment back = arena.allocate(end.byteSize());
            SegmentCopies.toHost(copies, back, large + (2L << 30));
            assertThat(back.mismatch(end)).isEqualTo(-1);
            end.fill((byte) 0);
            SegmentCopies.toHost(copies, there, large);
            assertThat(end.mismatch(back)).isEqualTo(-1);
        } finally {
            cuda.driver().cuMemFree_v2(large);
        }
    }

    @Test
    void whatTheDriverRefusesIsTold() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment tooLong = arena.allocate(BYTES * 2L);
            assertThatExceptionOfType(TorporException.class)
                    .isThrownBy(() -> SegmentCopies.toDevice(copies, memory, tooLong))
                    .matches(e -> e.cudaResult() == CudaResult.INVALID_VALUE)
                    .withMessageStartingWith("torpor_copy_to_device(" + 2 * BYTES + " bytes) failed");
        }
    }

    @Test
    void unfitSegmentsAreRefusedBeforeTheCall() {
        MemorySegment heap = MemorySegment.ofArray(new byte[8]);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SegmentCopies.toDevice(copies, memory, heap))
                .withMessageContaining("on the heap");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SegmentCopies.toHost(copies, heap, memory))
                .withMessageContaining("on the heap");
        MemorySegment closed;
        try (Arena arena = Arena.ofShared()) {
            closed = arena.allocate(8);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> SegmentCopies.toHost(copies, closed.asReadOnly(), memory))
                    .withMessageContaining("read-only");
        }
        assertThatIllegalStateException()
                .isThrownBy(() -> SegmentCopies.toDevice(copies, memory, closed))
                .withMessageContaining("closed");
    }

    @Test
    void aSegmentOfAnotherThreadIsRefused() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mine = arena.allocate(8);
            CompletableFuture<Void> other =
                    CompletableFuture.runAsync(() -> SegmentCopies.toDevice(copies, memory, mine));
            assertThat(other)
                    .failsWithin(Duration.ofSeconds(10))
                    .withThrowableThat()
                    .withCauseInstanceOf(WrongThreadException.class);
        }
    }
}
