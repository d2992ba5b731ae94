/* Memory that streams allocate and free, when it can be parked. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"

#include <pthread.h>

static uint64_t figure(CUmemoryPool pool, CUmemPool_attribute attribute) {
    cuuint64_t value = UINT64_MAX;
    OK(cu.cuMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static uint64_t used(CUmemoryPool pool) { return figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT); }
static uint64_t reserved(CUmemoryPool pool) { return figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT); }

static CUmemoryPool made_pool_on(int device) {
    CUmemoryPool pool = NULL;
    CUmemPoolProps props;
    memset(&props, 0, sizeof props);
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
    OK(cu.cuMemPoolCreate(&pool, &props));
    return pool;
}

/* One that keeps everything. */
static CUmemoryPool keeping_pool(void) {
    cuuint64_t all = UINT64_MAX;
    CUmemoryPool pool = made_pool_on(0);
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &all));
    return pool;
}

static CUdeviceptr taken(size_t bytes, CUmemoryPool pool, CUstream s) {
    CUdeviceptr d = 0;
    OK(cu.cuMemAllocFromPoolAsync(&d, bytes, pool, s));
    return d;
}

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
    CUdeviceptr d = taken(8 * MIB, pool, s);
    OK(spin(s, 100));
    OK(cu.cuMemFreeAsync(d, s));
    CUdeviceptr other = taken(8 * MIB, pool, t);
    EXPECT(other != d);
    OK(cu.cuStreamSynchronize(s));
    CUdeviceptr third = taken(8 * MIB, pool, t); /* now it is reached */
    EXPECT(third == d);
    OK(cu.cuMemFreeAsync(other, t));
    OK(cu.cuMemFreeAsync(third, t));
    OK(cu.cuStreamSynchronize(t));
    EXPECT_IS(0, used(pool));
    EXPECT_IS(16 * MIB, reserved(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void whatIsBeyondTheThresholdGoesWhenSomebodyWaits(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool_on(0);
    cuuint64_t keep = 8 * MIB;
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
    size_t before = free_memory();
    CUdeviceptr a = taken(8 * MIB, pool, s), b = taken(16 * MIB, pool, s);
    EXPECT_IS(24 * MIB, used(pool));
    EXPECT_IS(24 * MIB, status_of("parkable_bytes"));
    OK(cu.cuMemFreeAsync(b, s));
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(0, used(pool));
    EXPECT_IS(8 * MIB, reserved(pool));
    EXPECT_IS(before - 8 * MIB, free_memory());
    OK(cu.cuMemPoolTrimTo(pool, 8 * MIB));
    EXPECT_IS(8 * MIB, reserved(pool));
    OK(cu.cuMemPoolTrimTo(pool, 0));
    EXPECT_IS(0, reserved(pool));
    EXPECT_IS(before, free_memory());
    EXPECT_IS(24 * MIB, figure(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH));
    OK(cu.cuMemPoolDestroy(pool));
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
        EXPECT_IS(4 * MIB, reserved(next));
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
    CUdeviceptr d = taken(8 * MIB, pool, s), spare = taken(16 * MIB, pool, s);
    OK(cu.cuMemFreeAsync(spare, s));
    write_pattern(d, 8 * MIB, 1);
    COMMAND_OK("park");
    EXPECT_IS(8 * MIB, status_of("parked_bytes")); /* what nobody uses went */
    EXPECT_IS(8 * MIB, reserved(pool));
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, d + 5));
    EXPECT(of == pool);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 8 * MIB, 1);
    CUdeviceptr again = taken(16 * MIB, pool, s);
    OK(cu.cuMemsetD8Async(again, 1, 16 * MIB, s));
    OK(cu.cuMemFreeAsync(again, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(24 * MIB, reserved(pool));
    EXPECT_IS(0, used(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void whatIsFreedWhileParkedDoesNotComeBack(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = keeping_pool();
    size_t before = free_memory();
    CUdeviceptr a = taken(8 * MIB, pool, s), b = taken(4 * MIB, pool, s);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(b, 4 * MIB, 2);
    COMMAND_OK("park");
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuMemFreeAsync_ptsz(d, NULL));
    COMMAND_OK("unpark");
    EXPECT_IS(4 * MIB, used(pool));
    EXPECT_IS(4 * MIB, status_of("parkable_bytes"));
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
    CUdeviceptr d = taken(8 * MIB, pool, s);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamDestroy_v2(s));
    OK(cu.cuCtxSynchronize());
    CUdeviceptr again = taken(8 * MIB, pool, t);
    EXPECT(again == d);
    OK(cu.cuMemFreeAsync(again, t));
    OK(cu.cuCtxCreate_v2(&made, 0, 0));
    CUstream u = made_stream();
    CUdeviceptr e = taken(16 * MIB, pool, u), f = taken(4 * MIB, pool, u);
    OK(cu.cuMemsetD8Async(f, 'f', 4 * MIB, u));
    OK(cu.cuMemFreeAsync(e, u));
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxSetCurrent(primary));
    EXPECT(taken(16 * MIB, pool, t) == e);
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

/* --- threads --- */

static CUcontext context;
static CUmemoryPool shared;
static CUdeviceptr left;
static double begun;

static void *free_and_end(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    left = taken(8 * MIB, shared, CU_STREAM_PER_THREAD);
    begun = now_ms();
    OK(spin(CU_STREAM_PER_THREAD, 100));
    OK(cu.cuMemFreeAsync(left, CU_STREAM_PER_THREAD));
    return unused;
}

static void *take_in_own(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    CUdeviceptr mine = taken(8 * MIB, shared, CU_STREAM_PER_THREAD);
    if (now_ms() - begun < 90) EXPECT(mine != left);
    OK(cu.cuMemFreeAsync(mine, CU_STREAM_PER_THREAD));
    return unused;
}

/* Its place in memory, which the next thread gets, is not its name. */
static void aThreadsOwnStreamIsNotTheNextThreads(void) {
    pthread_t thread;
    context = use_device(0);
    shared = keeping_pool();
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, free_and_end, NULL);
        pthread_join(thread, NULL);
        pthread_create(&thread, NULL, take_in_own, NULL);
        pthread_join(thread, NULL);
        OK(cu.cuCtxSynchronize());
    }
}

static void *churn(void *number) {
    unsigned seed = 77 + (unsigned)(uintptr_t)number, out = 0;
    OK(cu.cuCtxSetCurrent(context));
    CUstream own = made_stream(), s = (uintptr_t)number % 2 ? own : CU_STREAM_PER_THREAD;
    for (unsigned i = 0; i < (sanitized() ? 60 : 200); i++) {
        size_t bytes = (size_t)(1 + rand_r(&seed) % 4) * MIB + (size_t)(rand_r(&seed) % 3) * 512;
        CUdeviceptr d = taken(bytes, shared, s);
        unsigned value = (unsigned)(uintptr_t)number << 16 | i;
        OK(cu.cuMemsetD32Async(d, value, bytes / 4, s));
        OK(cu.cuMemcpyDtoHAsync_v2(&out, d + bytes - 4, 4, s));
        if (i % 3) OK(cu.cuMemFreeAsync(d, s));
        OK(cu.cuStreamSynchronize(s));
        EXPECT_IS(value, out);
        if (i % 3 == 0) OK(cu.cuMemFree_v2(d));
    }
    OK(cu.cuStreamDestroy_v2(own));
    return NULL;
}

static void threadsAllocateAndFreeAtOnce(void) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    setenv("TORPOR_SIM_DELAY_US", "20", 1);
    context = use_device(0);
    size_t before = free_memory();
    shared = keeping_pool();
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, churn, (void *)i);
    for (int i = 0; i < 3; i++) {
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        sleep_ms(20);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    EXPECT_IS(0, used(shared));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemPoolDestroy(shared));
    EXPECT_IS(before, free_memory());
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
    RUN(aDestroyedPoolsHandleMayComeAgain);
    RUN(plainMemoryIsFreedInAStream);
    RUN(memoryOfPoolsIsParked);
    RUN(whatIsFreedWhileParkedDoesNotComeBack);
    RUN(sparesOutliveTheirStreamAndTheirContext);
    RUN(aThreadsOwnStreamIsNotTheNextThreads);
    RUN(threadsAllocateAndFreeAtOnce);
    RUN(peersOfAPoolStayItsPeers);
    RUN_SIMULATED(memoryThatPoolsKeepIsThereForAll, "takes all of a small device's memory");
    return summary();
}
