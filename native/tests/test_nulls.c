/* Out parameters that are null: the answer is one, and nobody crashes. With the shim it is the same. */
#include "outcome.h"
#include "pools.h"

enum { BYTES = 8 << 20 };
static CUdeviceptr memory;

static void prepare(void) {
    CUdeviceptr kept;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&kept, 4 * BYTES));
    OK(cu.cuMemFree_v2(kept)); /* the shim keeps it, and counts it as free */
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
}

static void freeMemoryIsToldByHalves(void) {
    size_t available = 0, total = 0;
    prepare();
    OK(cu.cuMemGetInfo_v2(NULL, &total));
    OK(cu.cuMemGetInfo_v2(&available, NULL));
    OK(cu.cuMemGetInfo_v2(NULL, NULL));
    EXPECT(available && available < total);
}

static void rangesAreToldByHalves(void) {
    CUdeviceptr base = 0;
    size_t size = 0;
    prepare();
    OK(cu.cuMemGetAddressRange_v2(NULL, &size, memory + 1));
    OK(cu.cuMemGetAddressRange_v2(&base, NULL, memory + 1));
    OK(cu.cuMemGetAddressRange_v2(NULL, NULL, memory + 1));
    EXPECT(base == memory && size == BYTES);
}

static void nothingIsMadeIntoNull(void) {
    size_t pitch;
    CUdeviceptr d;
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemGenericAllocationHandle handle;
    CUmemPoolProps props = props_of(0);
    prepare();
    EXPECT(cu.cuMemAlloc_v2(NULL, BYTES));
    EXPECT(cu.cuMemAlloc_v2(NULL, 1));
    EXPECT(cu.cuMemAllocAsync(NULL, BYTES, NULL));
    EXPECT(cu.cuMemAllocFromPoolAsync(NULL, BYTES, made_pool(), NULL));
    EXPECT(cu.cuMemAllocPitch_v2(NULL, &pitch, 3000, 3000, 4));
    EXPECT(cu.cuMemAllocPitch_v2(&d, NULL, 3000, 3000, 4));
    EXPECT(cu.cuMemCreate(NULL, BYTES, &prop, 0));
    EXPECT(cu.cuMemCreate(&handle, BYTES, NULL, 0));
    EXPECT(cu.cuMemRetainAllocationHandle(NULL, (void *)(uintptr_t)memory));
    EXPECT(cu.cuMemAddressReserve(NULL, BYTES, 0, 0, 0));
    EXPECT(cu.cuMemPoolCreate(NULL, &props));
    EXPECT(cu.cuMemPoolCreate(NULL, NULL));
    EXPECT(cu.cuDevicePrimaryCtxRetain(NULL, 0));
    EXPECT(cu.cuCtxCreate_v2(NULL, 0, 0));
    EXPECT(cu.cuIpcGetMemHandle(NULL, memory));
    OK(cu.cuMemCreate(&handle, BYTES, &prop, 0));
    EXPECT(cu.cuMemGetAllocationPropertiesFromHandle(NULL, handle));
    EXPECT(cu.cuMemExportToShareableHandle(NULL, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    OK(cu.cuMemRelease(handle));
}

static void nothingIsToldToNull(void) {
    CUpointer_attribute three[] = {CU_POINTER_ATTRIBUTE_IS_MANAGED, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    unsigned first = 77, last = 77;
    void *holes[] = {&first, NULL, &last};
    CUmemoryPool pool;
    CUmemAccess_flags flags;
    prepare();
    pool = made_pool();
    EXPECT(cu.cuPointerGetAttribute(NULL, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory));
    EXPECT(cu.cuPointerGetAttributes(3, three, holes, memory));
    EXPECT(cu.cuPointerGetAttributes(3, NULL, holes, memory));
    EXPECT(cu.cuPointerGetAttributes(3, three, NULL, memory));
    EXPECT(cu.cuPointerGetAttributes(0, three, holes, memory));
    EXPECT(cu.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, NULL));
    if (simulated()) EXPECT(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, NULL)); /* driver 580 itself crashes */
    EXPECT(cu.cuMemPoolSetAccess(pool, NULL, 1));
    EXPECT(cu.cuMemPoolGetAccess(&flags, pool, NULL));
    EXPECT(cu.cuMemSetAccess(memory, BYTES, NULL, 0));
    EXPECT(cu.cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE));
    EXPECT(cu.cuMemGetAccess(NULL, &(CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}, memory));
    EXPECT(cu.cuMemcpy2D_v2(NULL));
}

int main(void) {
    RUN(freeMemoryIsToldByHalves);
    RUN(rangesAreToldByHalves);
    RUN(nothingIsMadeIntoNull);
    RUN(nothingIsToldToNull);
    return summary();
}
