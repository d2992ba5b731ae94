/* Memory that streams allocate and free: when it is there, and whose it is next. */
#include "harness.h"
#include "launch.h"
#include "outcome.h"
#include "pools.h"

enum { KB = 1 << 10, MB = 1 << 20 };

static size_t free_memory(void) {
    size_t available = 0, total;
    OK(cu.cuMemGetInfo_v2(&available, &total));
    return available;
}

static void nap(void *milliseconds) { sleep_ms(*(int *)milliseconds); }

static void pitchesHoldWholeRows(void) {
    CUdeviceptr d, base;
    size_t pitch = 0, size = 0;
    use_device(0);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&d, &pitch, 1000, 10, 2));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&d, &pitch, 1000, 10, 5));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&d, &pitch, 0, 10, 4));
    for (unsigned element = 4; element <= 16; element *= 2) {
        OK(cu.cuMemAllocPitch_v2(&d, &pitch, 1000, 10, element));
        EXPECT(pitch >= 1000 && pitch % 512 == 0);
        OK(cu.cuMemGetAddressRange_v2(&base, &size, d));
        EXPECT(base == d && size >= pitch * 9 + 1000);
        OK(cu.cuMemsetD8_v2(d + 9 * pitch, 1, 1000));
        OK(cu.cuMemFree_v2(d));
    }
}

static void aStreamUsesWhatItAllocates(void) {
    CUdeviceptr d, base;
    size_t size;
    char out[4 * KB] = "";
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, 0, s));
    OK(cu.cuMemFreeAsync(d, s));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAllocAsync(&d, 1ULL << 50, s));
    OK(cu.cuMemAllocAsync(&d, sizeof out, s));
    EXPECT_IS(0, d % 256);
    OK(cu.cuMemsetD8Async(d, 's', sizeof out, s));
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, sizeof out, s));
    OK(cu.cuMemGetAddressRange_v2(&base, &size, d + 5));
    EXPECT(base == d && size >= sizeof out);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT(out[0] == 's' && out[sizeof out - 1] == 's');
}

static void theNullStreamsAllocateToo(void) {
    CUdeviceptr d[2];
    use_device(0);
    OK(cu.cuMemAllocAsync(&d[0], 100, NULL));
    OK(cu.cuMemAllocAsync_ptsz(&d[1], 100, NULL));
    EXPECT(d[0] != d[1]);
    OK(cu.cuMemFreeAsync_ptsz(d[0], NULL));
    OK(cu.cuMemFreeAsync(d[1], CU_STREAM_PER_THREAD));
    OK(cu.cuCtxSynchronize());
}

static void theAddressesTellOfThePool(void) {
    CUdeviceptr d, plain;
    CUmemoryPool standard = NULL, of = NULL;
    CUcontext mine = use_device(0), context = mine;
    int device = -1, type = 0;
    CUstream s = made_stream();
    OK(cu.cuDeviceGetDefaultMemPool(&standard, 0));
    OK(cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, d + 7));
    EXPECT(of == standard);
    OK(cu.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, d));
    EXPECT(!context); /* it is of none */
    OK(cu.cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, d));
    EXPECT_IS(0, device);
    OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d));
    EXPECT_IS(CU_MEMORYTYPE_DEVICE, type);
    OK(cu.cuMemAlloc_v2(&plain, 100));
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, plain));
    EXPECT(!of);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
}

static void freesAnswerTheirCodes(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(0x1234, s));
    OK(cu.cuMemAllocAsync(&d, 4 * KB, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(d + 512, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(d, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
}

static void eachFreeTakesMemoryOfEitherKind(void) {
    CUdeviceptr d;
    char in[4 * KB];
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, sizeof in, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemFree_v2(d));
    size_t before = free_memory();
    OK(cu.cuMemAlloc_v2(&d, 8 * MB));
    OK(cu.cuMemsetD8Async(d, 1, 8 * MB, s));
    OK(cu.cuMemFreeAsync(d, s)); /* what was asked for before still finds it */
    OK(cu.cuStreamSynchronize(s));
    EXPECT(free_memory() >= before);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(d, in, sizeof in));
}

/* With drivers 580. */
static void whatCuMemFreeGivesBackCountsAsUsedForEver(void) {
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    CUdeviceptr a = taken(MB, pool, s), b = taken(MB, pool, s);
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemFree_v2(a));
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(2 * MB, used(pool));
    EXPECT(taken(MB, pool, s) == a);
    OK(cu.cuMemFreeAsync(a, s));
    OK(cu.cuMemFreeAsync(b, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemPoolTrimTo(pool, 0));
    EXPECT_IS(MB, used(pool));
    EXPECT_IS(0, reserved(pool));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aStreamUsesAgainWhatItHasFreed(void) {
    CUdeviceptr d, again, other;
    use_device(0);
    CUstream s = made_stream(), t = made_stream();
    CUmemoryPool pool = made_pool();
    stop_at(s);
    OK(cu.cuMemAllocFromPoolAsync(&d, MB, pool, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuMemAllocFromPoolAsync(&again, MB, pool, s));
    EXPECT(again == d);
    OK(cu.cuMemFreeAsync(again, s));
    int off = 0;
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, &off));
    OK(cu.cuMemAllocFromPoolAsync(&other, MB, pool, t)); /* not before that stream is there */
    EXPECT(other != d);
    OK(cu.cuMemFreeAsync(other, t));
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemPoolDestroy(pool));
}

static void workBeforeTheFreeIsDone(void) {
    CUdeviceptr d, again;
    int pause = 50;
    char out[2] = "";
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, 2 * MB, s));
    OK(cu.cuLaunchHostFunc(s, nap, &pause));
    OK(cu.cuMemsetD8Async(d, 'a', 2 * MB, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuMemAllocAsync(&again, MB, s));
    OK(cu.cuMemsetD8Async(again, 'b', MB, s));
    OK(cu.cuMemcpyDtoHAsync_v2(out, again + MB - 1, 1, s));
    OK(cu.cuMemFreeAsync(again, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS('b', out[0]);
}

static void unusedMemoryGoesBackWhenSomebodyWaits(void) {
    CUdeviceptr d;
    CUevent e;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    OK(cu.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD));
    EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
    size_t before = free_memory();
    for (int way = 0; way < 3; way++) {
        OK(cu.cuMemAllocFromPoolAsync(&d, 40 * MB, pool, s));
        EXPECT(figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 40 * MB && figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= 40 * MB);
        EXPECT(before - free_memory() >= 40 * MB);
        OK(cu.cuMemFreeAsync(d, s));
        OK(cu.cuEventRecord(e, s));
        OK(way == 0 ? cu.cuStreamSynchronize(s) : way == 1 ? cu.cuEventSynchronize(e) : cu.cuCtxSynchronize());
        EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
        EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
        EXPECT_IS(before, free_memory());
    }
    EXPECT(figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) >= 40 * MB && figure(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= 40 * MB);
    OK(cu.cuMemPoolDestroy(pool));
}

static void aThresholdKeepsMemory(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    OK(set(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX));
    EXPECT(figure(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == UINT64_MAX);
    OK(cu.cuMemAllocFromPoolAsync(&d, 40 * MB, pool, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
    EXPECT(figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 40 * MB);
    OK(cu.cuMemPoolTrimTo(pool, 1ULL << 40));
    EXPECT(figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 40 * MB);
    OK(cu.cuMemPoolTrimTo(pool, 0));
    EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aCaptureFreesNoMemoryButItsOwn(void) {
    CUdeviceptr d, plain;
    CUgraph graph;
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuMemAlloc_v2(&plain, 100));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(d, s));
    cu.cuStreamEndCapture(s, &graph);
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeAsync(plain, s));
    cu.cuStreamEndCapture(s, &graph);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuMemFree_v2(plain));
    OK(cu.cuStreamSynchronize(s));
}

static void manyAllocationsKeepTheirContents(void) {
    enum { COUNT = 64, ROUNDS = 6 };
    CUdeviceptr d[COUNT];
    unsigned out[2];
    use_device(0);
    CUstream s[2] = {made_stream(), made_stream()};
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            size_t words = 16 + (i * 7919 + round * 104729) % 30000;
            OK(cu.cuMemAllocAsync(&d[i], words * 4, s[i % 2]));
            OK(cu.cuMemsetD32Async(d[i], round << 16 | i, words, s[i % 2]));
            if (i % 3) continue;
            OK(cu.cuMemFreeAsync(d[i], s[i % 2]));
            d[i] = 0;
        }
        for (unsigned i = 0; i < COUNT; i++) {
            if (!d[i]) continue;
            size_t words = 16 + (i * 7919 + round * 104729) % 30000;
            OK(cu.cuMemcpyDtoHAsync_v2(&out[0], d[i], 4, s[i % 2]));
            OK(cu.cuMemcpyDtoHAsync_v2(&out[1], d[i] + (words - 1) * 4, 4, s[i % 2]));
            OK(cu.cuStreamSynchronize(s[i % 2]));
            EXPECT(out[0] == (round << 16 | i) && out[1] == out[0]);
            OK(cu.cuMemFreeAsync(d[i], s[i % 2]));
        }
    }
    OK(cu.cuCtxSynchronize());
}

/* Of the simulator alone from here on. */

static void memoryThatPoolsDoNotUseIsEverybodys(void) {
    CUdeviceptr d, large;
    if (skipped(real_driver(), "takes all of the device's memory")) return;
    fresh_machine(1, "128M");
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    OK(set(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX));
    OK(cu.cuMemAllocFromPoolAsync(&d, 80 * MB, pool, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&large, 80 * MB));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT(figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= 80 * MB);
    OK(cu.cuMemAlloc_v2(&large, 80 * MB));
    EXPECT_IS(0, figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
    OK(cu.cuMemAllocFromPoolAsync(&d, 20 * MB, pool, s)); /* less is left than a pool likes to take */
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuMemFree_v2(large));
}

static void useAfterTheFreeFails(void) {
    CUdeviceptr d;
    CUmodule module;
    CUfunction fill;
    uint64_t first = 0, count = 4, seed = 1;
    void *args[] = {&d, &first, &count, &seed};
    if (skipped(real_driver(), "undefined there")) return;
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&fill, module, "torpor_fill"));
    OK(cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 1, 1, 1, 0, s, args, NULL));
    OK(cu.cuMemFreeAsync(d, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8Async(d, 1, 100, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 1, 1, 1, 0, s, args, NULL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(s));
}

static void graphsDoNotAllocateYet(void) {
    CUdeviceptr d;
    CUgraph graph;
    if (skipped(real_driver(), "they do there")) return;
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_IS(CUDA_ERROR_NOT_SUPPORTED, cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
}

static void aCheckpointTakesPoolsAlong(void) {
    CUdeviceptr d, later;
    char out[2] = "";
    size_t before;
    if (skipped(real_driver(), "a process that suspends itself has no driver then")) return;
    fresh_machine(1, "256M");
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, 50 * MB, s));
    OK(cu.cuMemsetD8Async(d, 'p', 50 * MB, s));
    OK(cu.cuStreamSynchronize(s));
    before = free_memory();
    suspend(getpid());
    resume(getpid());
    EXPECT_IS(before, free_memory());
    OK(cu.cuMemcpyDtoH_v2(out, d + 50 * MB - 1, 1));
    EXPECT_IS('p', out[0]);
    OK(cu.cuMemAllocAsync(&later, 100, s));
    OK(cu.cuMemFreeAsync(later, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
}

int main(void) {
    RUN(pitchesHoldWholeRows);
    RUN(aStreamUsesWhatItAllocates);
    RUN(theNullStreamsAllocateToo);
    RUN(theAddressesTellOfThePool);
    RUN(freesAnswerTheirCodes);
    RUN(eachFreeTakesMemoryOfEitherKind);
    RUN(whatCuMemFreeGivesBackCountsAsUsedForEver);
    RUN(aStreamUsesAgainWhatItHasFreed);
    RUN(workBeforeTheFreeIsDone);
    RUN(unusedMemoryGoesBackWhenSomebodyWaits);
    RUN(aThresholdKeepsMemory);
    RUN(aCaptureFreesNoMemoryButItsOwn);
    RUN(manyAllocationsKeepTheirContents);
    RUN(memoryThatPoolsDoNotUseIsEverybodys);
    RUN(useAfterTheFreeFails);
    RUN(graphsDoNotAllocateYet);
    RUN(aCheckpointTakesPoolsAlong);
    return summary();
}
