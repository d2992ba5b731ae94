#include "harness.h"

static void callsWithoutContextAreRefused(void) {
    CUdeviceptr d;
    size_t a, b;
    load_driver();
    OK(cu.cuInit(0));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuMemAlloc_v2(&d, 16));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuMemGetInfo_v2(&a, &b));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuCtxSynchronize());
}

static void allocationAnswersItsCodes(void) {
    CUdeviceptr d;
    use_device(0);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAlloc_v2(&d, 0));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&d, 1ULL << 50));
    OK(cu.cuMemFree_v2(0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(0x1234));
    OK(cu.cuMemAlloc_v2(&d, 100));
    EXPECT_IS(0, d % 512);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d + 16));
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
}

static void accessBeyondAnAllocationIsRefused(void) {
    CUdeviceptr d;
    static char h[4096];
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 100));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(d, h, 101));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2(h, d, 4096));
    OK(cu.cuMemcpyHtoD_v2(d, h, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(0x7000, h, 10));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(d, 1, 101));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD32_v2(d + 1, 1, 1));
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2(h, d, 10));
}

static void addressesTellWhereTheyBelong(void) {
    CUdeviceptr d, base;
    size_t size;
    unsigned type = 0;
    char h[16];
    CUcontext mine = use_device(0), context = NULL;
    OK(cu.cuMemAlloc_v2(&d, 5 << 20));
    OK(cu.cuMemGetAddressRange_v2(&base, &size, d + 77));
    EXPECT(base == d && size == 5 << 20);
    OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d));
    EXPECT_IS(CU_MEMORYTYPE_DEVICE, type);
    OK(cu.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, d));
    EXPECT(context == mine);
    OK(cu.cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, d + 4096));
    EXPECT(base == d);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)h));
}

static void pinnedMemoryIsKnown(void) {
    void *pinned = NULL;
    unsigned type = 0;
    static char own[8192] __attribute__((aligned(4096)));
    use_device(0);
    OK(cu.cuMemHostAlloc(&pinned, 10000, 0));
    memset(pinned, 1, 10000);
    OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)pinned));
    EXPECT_IS(CU_MEMORYTYPE_HOST, type);
    OK(cu.cuMemFreeHost(pinned));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeHost(pinned));
    OK(cu.cuMemHostRegister_v2(own, sizeof own, 0));
    EXPECT_IS(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cu.cuMemHostRegister_v2(own, sizeof own, 0));
    OK(cu.cuMemHostUnregister(own));
    EXPECT_IS(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cu.cuMemHostUnregister(own));
}

static void primaryContextEndsWithItsLastRelease(void) {
    unsigned flags;
    int active = -1;
    CUcontext a, b;
    use_device(0);
    OK(cu.cuDevicePrimaryCtxRetain(&b, 0));
    OK(cu.cuCtxGetCurrent(&a));
    EXPECT(a == b);
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    EXPECT_IS(1, active);
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuDevicePrimaryCtxRelease_v2(0));
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    EXPECT_IS(0, active);
}

static void contextsStack(void) {
    CUcontext primary = use_device(0), made = NULL, now = NULL;
    OK(cu.cuCtxCreate_v2(&made, 0, 0));
    OK(cu.cuCtxGetCurrent(&now));
    EXPECT(now == made && made != primary);
    OK(cu.cuCtxPushCurrent_v2(primary));
    OK(cu.cuCtxPopCurrent_v2(&now));
    EXPECT(now == primary);
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxGetCurrent(&now));
    EXPECT(now == primary);
}

static void freeMemoryFollowsAllocations(void) {
    size_t before, after, again, total;
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemGetInfo_v2(&before, &total));
    OK(cu.cuMemAlloc_v2(&d, 64 << 20));
    OK(cu.cuMemGetInfo_v2(&after, &total));
    EXPECT_IS(64 << 20, before - after);
    OK(cu.cuMemFree_v2(d));
    OK(cu.cuMemGetInfo_v2(&again, &total));
    EXPECT_IS(before, again);
}

int main(void) {
    RUN(callsWithoutContextAreRefused);
    RUN(allocationAnswersItsCodes);
    RUN(accessBeyondAnAllocationIsRefused);
    RUN(addressesTellWhereTheyBelong);
    RUN(pinnedMemoryIsKnown);
    RUN(primaryContextEndsWithItsLastRelease);
    RUN(contextsStack);
    RUN(freeMemoryFollowsAllocations);
    return summary();
}
