/* Memory that streams allocate and free, when it can be parked. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "pools.h"

enum { CHUNK = 64 * MIB }; /* what a pool gets at once, at least */

static void theStreamUsesAgainWhatItFreed(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    CUdeviceptr d = taken(8 * MIB, pool, s);
    OK(spin(s, 50));
    OK(fill_words(d, MIB, 1, s));
    OK(cu.cuMemFreeAsync(d, s));
    CUdeviceptr again = taken(8 * MIB, pool, s);
    EXPECT(again == d);
    OK(cu.cuMemsetD8Async(again, 'b', 8 * MIB, s));
    char *out = malloc(8 * MIB);
    OK(cu.cuMemcpyDtoHAsync_v2(out, again, 8 * MIB, s));
    OK(cu.cuMemFreeAsync(again, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT(all_are(out, 'b', 8 * MIB)); /* what came before the free came before */
    free(out);
}

static void anotherStreamWaitsForTheFree(void) {
    use_device(0);
    CUstream s = made_stream(), t = made_stream();
    CUmemoryPool pool = keeping_pool();
    CUdeviceptr d = taken(CHUNK, pool, s);
    stop_at(s);
    OK(cu.cuMemFreeAsync(d, s));
    CUdeviceptr other = taken(CHUNK, pool, t);
    EXPECT(other != d);
    go_on = 1;
    OK(cu.cuStreamSynchronize(s));
    CUdeviceptr third = taken(8 * MIB, pool, t); /* now it is reached */
    EXPECT(third == d);
    OK(cu.cuMemFreeAsync(other, t));
    OK(cu.cuMemFreeAsync(third, t));
    OK(cu.cuStreamSynchronize(t));
    EXPECT_IS(0, used(pool));
    EXPECT_IS(2 * CHUNK, reserved(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void whatIsBeyondTheThresholdGoesWhenSomebodyWaits(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool_on(0);
    cuuint64_t keep = CHUNK;
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
    size_t before = free_memory();
    CUdeviceptr a = taken(8 * MIB, pool, s), b = taken(100 * MIB, pool, s);
    EXPECT_IS(108 * MIB, used(pool));
    EXPECT_IS(CHUNK + 100 * MIB, reserved(pool));
    EXPECT_IS(CHUNK + 100 * MIB, status_of("parkable_bytes"));
    OK(cu.cuMemFreeAsync(b, s));
    EXPECT_IS(CHUNK, status_of("parkable_bytes")); /* of what nobody uses nothing is parked */
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CHUNK, reserved(pool));
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(0, used(pool));
    EXPECT_IS(CHUNK, reserved(pool));
    EXPECT_IS(before - CHUNK, free_memory());
    OK(cu.cuMemPoolTrimTo(pool, 2 * MIB)); /* so much at least is kept */
    EXPECT_IS(CHUNK, reserved(pool));
    OK(cu.cuMemPoolTrimTo(pool, 0));
    EXPECT_IS(0, reserved(pool));
    EXPECT_IS(before, free_memory());
    EXPECT_IS(108 * MIB, figure(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH));
    EXPECT_IS(CHUNK + 100 * MIB, figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aChunkStaysAsLongAsAPartOfItIsUsed(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool_on(0);
    CUdeviceptr a = taken(8 * MIB, pool, s), b = taken(40 * MIB, pool, s);
    OK(cu.cuMemFreeAsync(b, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(8 * MIB, used(pool));
    EXPECT_IS(CHUNK, reserved(pool));
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(0, reserved(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void partsTellOfThemselves(void) {
    CUdeviceptr base = 0;
    CUmemoryPool of = NULL;
    size_t size = 0;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    CUdeviceptr a = taken(3 * MIB, pool, s), b = taken(5 * MIB, pool, s);
    EXPECT(b == a + 4 * MIB);
    OK(cu.cuMemGetAddressRange_v2(&base, &size, b + 7));
    EXPECT(base == b && size == 5 * MIB);
    OK(cu.cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, a + MIB));
    EXPECT(base == a);
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, b));
    EXPECT(of == pool);
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, a + 3 * MIB));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, b + 6 * MIB)); /* nobody's */
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(a + 2 * MIB, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(b + 6 * MIB, s));
    OK(cu.cuMemFreeAsync(a, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(a, s));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, a));
    OK(cu.cuMemFree_v2(b));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(b));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemPoolDestroy(pool));
}

static void sizesThatChangeComeFromOneChunk(void) {
    unsigned seed = 5;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    for (int i = 0; i < 200; i++) {
        CUdeviceptr d = taken((size_t)(2 + rand_r(&seed) % 63) * MIB, pool, s);
        if (i % 16 == 0) OK(spin(s, 1));
        OK(cu.cuMemFreeAsync(d, s));
        EXPECT_IS(CHUNK, reserved(pool));
    }
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemPoolDestroy(pool));
}

static void take_quarters(CUdeviceptr *d, CUmemoryPool pool, CUstream s) {
    for (int i = 0; i < 4; i++) d[i] = taken(CHUNK / 4, pool, s);
    EXPECT(d[1] == d[0] + CHUNK / 4 && d[3] == d[2] + CHUNK / 4);
    EXPECT_IS(CHUNK, reserved(pool));
}

static void neighboursBecomeOne(void) {
    CUdeviceptr d[4];
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    take_quarters(d, pool, s);
    OK(spin(s, 50));
    OK(cu.cuMemFreeAsync(d[2], s));
    OK(cu.cuMemFreeAsync(d[0], s));
    OK(cu.cuMemFreeAsync(d[1], s));
    CUdeviceptr most = taken(3 * CHUNK / 4, pool, s);
    EXPECT(most == d[0]);
    OK(cu.cuMemFreeAsync(d[3], s));
    OK(cu.cuMemFreeAsync(most, s));
    EXPECT(taken(CHUNK, pool, s) == d[0]);
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CHUNK, reserved(pool));
}

static void whatTwoStreamsFreedIsOneWhenBothAreThere(void) {
    CUdeviceptr d[4];
    use_device(0);
    CUstream s = made_stream(), t = made_stream();
    CUmemoryPool pool = keeping_pool();
    take_quarters(d, pool, s);
    OK(cu.cuStreamSynchronize(s));
    stop_at(s);
    OK(cu.cuMemFreeAsync(d[0], s));
    OK(cu.cuMemFreeAsync(d[1], t));
    OK(cu.cuStreamSynchronize(t));
    CUdeviceptr away = taken(CHUNK / 2, pool, t);
    EXPECT(away < d[0] || away >= d[0] + CHUNK); /* half of it is not reached */
    EXPECT(taken(CHUNK / 2, pool, t) == away + CHUNK / 2);
    EXPECT(taken(CHUNK / 2, pool, s) == d[0]);
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    stop_at(s);
    stop_at(t);
    OK(cu.cuMemFreeAsync(d[0], s));
    OK(cu.cuMemFreeAsync(d[2], t));
    CUdeviceptr part = taken(CHUNK / 4, pool, s); /* what is left of it waits for the stream as before */
    EXPECT(part == d[0]);
    OK(cu.cuMemFreeAsync(away, t));
    CUdeviceptr large = taken(3 * CHUNK / 4, pool, t);
    EXPECT(large + 3 * CHUNK / 4 <= d[0] || large >= d[0] + CHUNK);
    EXPECT(taken(CHUNK / 2, pool, t) == away);
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    EXPECT(taken(CHUNK / 2, pool, t) == d[1]);
}

static void aDestroyedPoolsHandleMayComeAgain(void) {
    use_device(0);
    CUstream s = made_stream();
    size_t before = free_memory();
    for (int i = 0; i < 4; i++) {
        CUmemoryPool pool = keeping_pool();
        CUdeviceptr d = taken(8 * MIB, pool, s);
        OK(cu.cuMemPoolDestroy(pool));
        CUmemoryPool next = keeping_pool(); /* often with the handle of the one before */
        CUdeviceptr e = taken(4 * MIB, next, s);
        OK(cu.cuMemFreeAsync(d, s));
        EXPECT_IS(4 * MIB, used(next));
        OK(cu.cuMemFreeAsync(e, s));
        OK(cu.cuStreamSynchronize(s));
        EXPECT_IS(0, used(next));
        EXPECT_IS(CHUNK, reserved(next));
        OK(cu.cuMemPoolDestroy(next));
        OK(cu.cuStreamSynchronize(s));
        EXPECT_IS(before, free_memory());
    }
}

static void plainMemoryIsFreedInAStream(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    size_t before = free_memory();
    OK(cu.cuMemAlloc_v2(&d, 8 * MIB));
    OK(spin(s, 50));
    OK(fill_words(d, MIB, 1, s));
    OK(cu.cuMemFreeAsync(d, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(d, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(before, free_memory());
}

static void memoryOfPoolsIsParked(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool(), of = NULL;
    CUdeviceptr d = taken(8 * MIB, pool, s), spare = taken(80 * MIB, pool, s);
    OK(cu.cuMemFreeAsync(spare, s));
    write_pattern(d, 8 * MIB, 1);
    COMMAND_OK("park");
    EXPECT_IS(CHUNK, status_of("parked_bytes")); /* what nobody uses went */
    EXPECT_IS(CHUNK, reserved(pool));
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, d + 5));
    EXPECT(of == pool);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 8 * MIB, 1);
    CUdeviceptr again = taken(80 * MIB, pool, s);
    OK(cu.cuMemsetD8Async(again, 1, 80 * MIB, s));
    OK(cu.cuMemFreeAsync(again, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CHUNK + 80 * MIB, reserved(pool));
    EXPECT_IS(0, used(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void usedPartsAmongFreeOnesAreParked(void) {
    CUdeviceptr d[8];
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    for (unsigned i = 0; i < 8; i++) write_pattern(d[i] = taken(8 * MIB, pool, s), 8 * MIB, i);
    for (int i = 0; i < 8; i++)
        if (i == 0 || i == 3 || i == 4 || i == 6) OK(cu.cuMemFreeAsync(d[i], s));
    for (int round = 0; round < 2; round++) {
        const char *parked = command("park");
        EXPECT_IS(CHUNK, number_of(parked, "bytes"));
        EXPECT_IS(32 * MIB, number_of(parked, "copied_bytes"));
        if (round) OK(cu.cuMemFreeAsync(d[2], s));
        COMMAND_OK("unpark");
        for (unsigned i = 1; i < 8; i++)
            if (i == 1 || (i == 2 && !round) || i == 5 || i == 7) EXPECT_PATTERN(d[i], 8 * MIB, i);
    }
    EXPECT_IS(24 * MIB, used(pool));
    EXPECT(taken(24 * MIB, pool, s) == d[2]); /* with what was freed meanwhile */
    write_pattern(d[2], 24 * MIB, 9);
    EXPECT_PATTERN(d[1], 8 * MIB, 1);
    EXPECT_PATTERN(d[5], 8 * MIB, 5);
    EXPECT_IS(CHUNK, reserved(pool));
}

static void whatIsFreedWhileParkedDoesNotComeBack(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    size_t before = settled_memory();
    CUdeviceptr a = taken(CHUNK, pool, s), b = taken(4 * MIB, pool, s);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(b, 4 * MIB, 2);
    COMMAND_OK("park");
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuMemFreeAsync_ptsz(d, NULL));
    COMMAND_OK("unpark");
    EXPECT_IS(4 * MIB, used(pool));
    EXPECT_IS(CHUNK, reserved(pool));
    EXPECT_IS(CHUNK, status_of("parkable_bytes"));
    EXPECT_PATTERN(b, 4 * MIB, 2);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(a, s));
    OK(cu.cuMemFree_v2(b));
    OK(cu.cuMemPoolDestroy(pool));
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(before, free_memory());
}

static void sparesOutliveTheirStreamAndTheirContext(void) {
    CUcontext primary = use_device(0), made;
    CUstream s = made_stream(), t = made_stream();
    CUmemoryPool pool = keeping_pool();
    CUdeviceptr d = taken(CHUNK, pool, s);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamDestroy_v2(s));
    OK(cu.cuCtxSynchronize());
    CUdeviceptr again = taken(CHUNK, pool, t);
    EXPECT(again == d);
    OK(cu.cuMemFreeAsync(again, t));
    OK(cu.cuCtxCreate_v2(&made, 0, 0));
    CUstream u = made_stream();
    CUdeviceptr e = taken(80 * MIB, pool, u), f = taken(4 * MIB, pool, u);
    OK(cu.cuMemsetD8Async(f, 'f', 4 * MIB, u));
    OK(cu.cuMemFreeAsync(e, u));
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxSetCurrent(primary));
    EXPECT(taken(80 * MIB, pool, t) == e);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    char last = 0;
    OK(cu.cuMemcpyDtoH_v2(&last, f + 4 * MIB - 1, 1));
    EXPECT_IS('f', last);
    OK(cu.cuMemFreeAsync(e, t));
    OK(cu.cuMemFreeAsync(f, t));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemPoolDestroy(pool));
}

static void peersOfAPoolStayItsPeers(void) {
    int count = 0;
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    OK(cu.cuDeviceGetCount(&count));
    if (skipped(count < 2, "one device")) return;
    use_device(1);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool_on(1);
    CUmemAccessDesc first = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr before = taken(4 * MIB, pool, s);
    OK(cu.cuMemPoolSetAccess(pool, &first, 1));
    CUdeviceptr after = taken(4 * MIB, pool, s);
    OK(cu.cuStreamSynchronize(s));
    use_device(0);
    for (int parked = 0; parked < 2; parked++) {
        OK(filled_at(before));
        OK(filled_at(after));
        COMMAND_OK("park");
        COMMAND_OK("unpark");
    }
}

static void memoryThatPoolsKeepIsThereForAll(void) {
    CUdeviceptr d;
    size_t pitch;
    fresh_machine(1, "256M");
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool(), other = keeping_pool();
    for (int way = 0; way < 3; way++) {
        CUdeviceptr large = taken(180 * MIB, pool, s);
        OK(spin(s, 20));
        OK(cu.cuMemFreeAsync(large, s)); /* not reached yet */
        if (way == 0) OK(cu.cuMemAlloc_v2(&d, 100 * MIB));
        else if (way == 1) OK(cu.cuMemAllocPitch_v2(&d, &pitch, MIB, 100, 4));
        else d = taken(100 * MIB, other, s);
        OK(way == 2 ? cu.cuMemFreeAsync(d, s) : cu.cuMemFree_v2(d));
        OK(cu.cuMemPoolTrimTo(other, 0));
    }
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAllocFromPoolAsync(&d, 300 * MIB, pool, s));
}

int main(void) {
    RUN(theStreamUsesAgainWhatItFreed);
    RUN(anotherStreamWaitsForTheFree);
    RUN(whatIsBeyondTheThresholdGoesWhenSomebodyWaits);
    RUN(aChunkStaysAsLongAsAPartOfItIsUsed);
    RUN(partsTellOfThemselves);
    RUN(sizesThatChangeComeFromOneChunk);
    RUN(neighboursBecomeOne);
    RUN(whatTwoStreamsFreedIsOneWhenBothAreThere);
    RUN(aDestroyedPoolsHandleMayComeAgain);
    RUN(plainMemoryIsFreedInAStream);
    RUN(memoryOfPoolsIsParked);
    RUN(usedPartsAmongFreeOnesAreParked);
    RUN(whatIsFreedWhileParkedDoesNotComeBack);
    RUN(sparesOutliveTheirStreamAndTheirContext);
    RUN(peersOfAPoolStayItsPeers);
    RUN_SIMULATED(memoryThatPoolsKeepIsThereForAll, "takes all of a small device's memory");
    return summary();
}
