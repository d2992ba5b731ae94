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

static void severalAttributesAreAskedForAtOnce(void) {
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_RANGE_SIZE, CU_POINTER_ATTRIBUTE_IS_MANAGED};
    CUcontext mine = use_device(0), context = NULL;
    unsigned type = 0, managed = 9;
    size_t size = 0;
    void *data[] = {&context, &type, &size, &managed};
    CUdeviceptr d;
    OK(cu.cuMemAlloc_v2(&d, 3 << 20));
    OK(cu.cuPointerGetAttributes(4, which, data, d + 5));
    EXPECT(context == mine && type == CU_MEMORYTYPE_DEVICE && size == 3 << 20);
    EXPECT_IS(0, managed & 0xff);
}

static void attributesOfPageableMemoryAreNothingAndNoError(void) {
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
    unsigned type = 9;
    CUcontext context = use_device(0);
    CUdeviceptr there = 9;
    void *data[] = {&type, &context, &there};
    OK(cu.cuPointerGetAttributes(3, which, data, (CUdeviceptr)(uintptr_t)data));
    EXPECT(type == 0 && !context && !there);
    which[1] = (CUpointer_attribute)9999;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuPointerGetAttributes(3, which, data, (CUdeviceptr)(uintptr_t)data));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuPointerGetAttributes(0, which, data, 0));
}

static void managedMemoryIsOfBothSides(void) {
    CUdeviceptr m, d;
    unsigned managed = 0, type = 0;
    char out[4096];
    use_device(0);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocManaged(&m, 4096, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocManaged(&m, 0, CU_MEM_ATTACH_GLOBAL));
    OK(cu.cuMemAllocManaged(&m, 4096, CU_MEM_ATTACH_GLOBAL));
    OK(cu.cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, m));
    OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, m));
    EXPECT(managed == 1 && type == CU_MEMORYTYPE_DEVICE);
    memset((void *)(uintptr_t)m, 'm', 4096);
    OK(cu.cuMemAlloc_v2(&d, 4096));
    OK(cu.cuMemcpyDtoD_v2(d, m, 4096));
    OK(cu.cuMemcpyDtoH_v2(out, d, 4096));
    EXPECT(out[0] == 'm' && out[4095] == 'm');
    OK(cu.cuMemsetD8_v2(m, 'n', 4096));
    OK(cu.cuCtxSynchronize());
    EXPECT(((char *)(uintptr_t)m)[4095] == 'n');
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFreeHost((void *)(uintptr_t)m));
    OK(cu.cuMemFree_v2(m));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(m));
}

static void aResetEndsThePrimaryContextHoweverOftenItIsRetained(void) {
    unsigned flags;
    int active = -1;
    size_t before, after, total;
    CUdeviceptr d;
    CUcontext context = use_device(0);
    OK(cu.cuMemGetInfo_v2(&before, &total));
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    OK(cu.cuMemAlloc_v2(&d, 64 << 20));
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    EXPECT_IS(0, active);
    EXPECT_IS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cu.cuMemAlloc_v2(&d, 16));
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDevicePrimaryCtxReset_v2(99));
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuMemGetInfo_v2(&after, &total));
    EXPECT(after + (32 << 20) >= before);
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
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
    RUN(severalAttributesAreAskedForAtOnce);
    RUN(attributesOfPageableMemoryAreNothingAndNoError);
    RUN(managedMemoryIsOfBothSides);
    RUN(aResetEndsThePrimaryContextHoweverOftenItIsRetained);
    RUN(primaryContextEndsWithItsLastRelease);
    RUN(contextsStack);
    RUN(freeMemoryFollowsAllocations);
    return summary();
}
