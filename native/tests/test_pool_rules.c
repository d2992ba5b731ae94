/* The pools that streams allocate from: their figures, limits, devices and ends, and who may reach them. */
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

static void attributesAnswerTheirCodes(void) {
    int flag = 0;
    cuuint64_t number;
    use_device(0);
    CUmemoryPool pool = made_pool();
    for (int a = CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES; a <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES; a++) {
        OK(cu.cuMemPoolGetAttribute(pool, (CUmemPool_attribute)a, &flag));
        EXPECT_IS(1, flag);
        flag = 0;
        OK(cu.cuMemPoolSetAttribute(pool, (CUmemPool_attribute)a, &flag));
        flag = 1;
        OK(cu.cuMemPoolGetAttribute(pool, (CUmemPool_attribute)a, &flag));
        EXPECT_IS(0, flag);
    }
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, set(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, 1));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, set(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 1));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, set(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, set(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, 0));
    OK(set(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, 0));
    OK(set(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolGetAttribute(pool, (CUmemPool_attribute)99, &number));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, NULL));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aDeviceHasACurrentPool(void) {
    CUmemoryPool standard = NULL, now = NULL, of = NULL, pool;
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuDeviceGetDefaultMemPool(&standard, 0));
    OK(cu.cuDeviceGetMemPool(&now, 0));
    EXPECT(standard && now == standard);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolDestroy(standard));
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGetDefaultMemPool(&now, 99));
    pool = made_pool();
    OK(cu.cuDeviceSetMemPool(0, pool));
    OK(cu.cuDeviceGetMemPool(&now, 0));
    EXPECT(now == pool);
    OK(cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, d));
    EXPECT(of == pool);
    OK(cu.cuMemPoolDestroy(pool)); /* its memory is still used */
    OK(cu.cuDeviceGetMemPool(&now, 0));
    EXPECT(now == standard);
    OK(cu.cuMemsetD8Async(d, 1, 100, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
}

static void aDestroyedPoolGoesWithItsLastFree(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    OK(set(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX));
    size_t before = free_memory();
    OK(cu.cuMemAllocFromPoolAsync(&d, 40 * MB, pool, s));
    OK(cu.cuMemPoolDestroy(pool));
    EXPECT(before - free_memory() >= 40 * MB);
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(before, free_memory());
}

static void poolsAreOfADevice(void) {
    CUmemoryPool pool = NULL;
    CUmemPoolProps props = props_of(0);
    use_device(0);
    props.location.id = 99;
    EXPECT(cu.cuMemPoolCreate(&pool, &props) != CUDA_SUCCESS);
    props = props_of(0);
    props.allocType = (CUmemAllocationType)0;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolCreate(&pool, &props));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolCreate(&pool, NULL));
}

static void aPoolMayHaveAnEnd(void) {
    CUdeviceptr d;
    CUmemoryPool pool = NULL;
    CUmemPoolProps props = props_of(0);
    use_device(0);
    CUstream s = made_stream();
    props.maxSize = 64 * MB;
    OK(cu.cuMemPoolCreate(&pool, &props));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAllocFromPoolAsync(&d, 65 * MB, pool, s));
    OK(cu.cuMemAllocFromPoolAsync(&d, 60 * MB, pool, s));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemPoolDestroy(pool));
}

static void theOwnDeviceReachesAPool(void) {
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemAccessDesc all = {here, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    use_device(0);
    CUmemoryPool pool = made_pool();
    OK(cu.cuMemPoolGetAccess(&flags, pool, &here));
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, flags);
    OK(cu.cuMemPoolSetAccess(pool, &all, 1));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aPoolThatIsNotMadeForItIsNotShared(void) {
    CUmemPoolPtrExportData data;
    CUdeviceptr d;
    int file = -1;
    use_device(0);
    CUstream s = made_stream();
    CUmemoryPool pool = made_pool();
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolExportToShareableHandle(&file, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    OK(cu.cuMemAllocFromPoolAsync(&d, 100, pool, s));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolExportPointer(&data, d));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemPoolDestroy(pool));
}

static void aPoolMadeForItIsShared(void) {
    CUmemPoolPtrExportData data;
    CUmemPoolProps props = props_of(0);
    CUmemoryPool pool = NULL;
    CUdeviceptr d;
    int file = -1;
    use_device(0);
    CUstream s = made_stream();
    props.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    OK(cu.cuMemPoolCreate(&pool, &props));
    OK(cu.cuMemPoolExportToShareableHandle(&file, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    OK(close(file));
    OK(cu.cuMemAllocFromPoolAsync(&d, 100, pool, s));
    OK(cu.cuMemPoolExportPointer(&data, d));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemPoolDestroy(pool));
}

static void memoryOfPoolsOutlivesContexts(void) {
    CUcontext primary = use_device(0), made;
    CUdeviceptr d;
    char out[2] = "";
    CUstream s;
    OK(cu.cuCtxCreate_v2(&made, 0, 0));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAllocAsync(&d, 100, s));
    OK(cu.cuMemsetD8Async(d, 'x', 100, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxSetCurrent(primary));
    OK(cu.cuMemcpyDtoH_v2(out, d + 99, 1));
    EXPECT_IS('x', out[0]);
    OK(cu.cuMemFreeAsync(d, NULL));
    OK(cu.cuCtxSynchronize());
}

int main(void) {
    RUN(attributesAnswerTheirCodes);
    RUN(aDeviceHasACurrentPool);
    RUN(aDestroyedPoolGoesWithItsLastFree);
    RUN(poolsAreOfADevice);
    RUN(aPoolMayHaveAnEnd);
    RUN(theOwnDeviceReachesAPool);
    RUN(aPoolThatIsNotMadeForItIsNotShared);
    RUN(aPoolMadeForItIsShared);
    RUN(memoryOfPoolsOutlivesContexts);
    return summary();
}
