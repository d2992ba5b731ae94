/* Memory that is handed to others, and what addresses tell of it. */
#include "harness.h"
#include "outcome.h"

#include <fcntl.h>

enum { MB = 1 << 20 };

static CUmemAllocationProp prop_for(CUmemAllocationHandleType type) {
    CUmemAllocationProp prop;
    memset(&prop, 0, sizeof prop);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.requestedHandleTypes = type;
    return prop;
}

static CUmemGenericAllocationHandle made(CUmemAllocationHandleType type) {
    CUmemGenericAllocationHandle handle = 0;
    CUmemAllocationProp prop = prop_for(type);
    OK(cu.cuMemCreate(&handle, 2 * MB, &prop, 0));
    return handle;
}

static CUdeviceptr mapped(CUmemGenericAllocationHandle handle) {
    CUmemAccessDesc all = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr va = 0;
    OK(cu.cuMemAddressReserve(&va, 2 * MB, 0, 0, 0));
    OK(cu.cuMemMap(va, 2 * MB, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, 2 * MB, &all, 1));
    return va;
}

static CUdeviceptr from_pool(void) {
    CUdeviceptr d = 0;
    OK(cu.cuMemAllocAsync(&d, 2 * MB, NULL));
    OK(cu.cuCtxSynchronize());
    return d;
}

static uint64_t attribute(CUpointer_attribute which, CUdeviceptr at) {
    uint64_t value = 0;
    OK(cu.cuPointerGetAttribute(&value, which, at));
    return value;
}

static void aHandleMadeForItIsExported(void) {
    CUmemGenericAllocationHandle again = 0, handle;
    CUmemAllocationProp prop;
    char out[8] = "";
    int file = -1;
    use_device(0);
    handle = made(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    OK(cu.cuMemGetAllocationPropertiesFromHandle(&prop, handle));
    EXPECT_IS(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, prop.requestedHandleTypes);
    OK(cu.cuMemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    EXPECT(fcntl(file, F_GETFD) >= 0);
    OK(cu.cuMemImportFromShareableHandle(&again, (void *)(intptr_t)file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    OK(close(file));
    CUdeviceptr a = mapped(handle), b = mapped(again);
    OK(cu.cuMemRelease(handle));
    OK(cu.cuMemcpyHtoD_v2(a + 1000, "torpor!", 8));
    OK(cu.cuMemcpyDtoH_v2(out, b + 1000, 8));
    EXPECT(!strcmp(out, "torpor!"));
    OK(cu.cuMemUnmap(a, 2 * MB));
    OK(cu.cuMemUnmap(b, 2 * MB));
    OK(cu.cuMemRelease(again));
}

static void aHandleNotMadeForItIsNot(void) {
    CUmemGenericAllocationHandle handle;
    int file = -1;
    use_device(0);
    handle = made(CU_MEM_HANDLE_TYPE_NONE);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    OK(cu.cuMemRelease(handle));
}

static void anyFileIsNoMemory(void) {
    CUmemGenericAllocationHandle handle;
    use_device(0);
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT(cu.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS);
    OK(close(file));
}

static void legacySharingIsOfCuMemAllocAlone(void) {
    CUipcMemHandle handle, again;
    CUdeviceptr d;
    if (skipped(under_shim(), "memory that can be parked has no legacy handle")) return;
    use_device(0);
    CUdeviceptr va = mapped(made(CU_MEM_HANDLE_TYPE_NONE)), pooled = from_pool();
    OK(cu.cuMemAlloc_v2(&d, 2 * MB));
    OK(cu.cuIpcGetMemHandle(&handle, d));
    OK(cu.cuIpcGetMemHandle(&again, d));
    EXPECT(!memcmp(&handle, &again, sizeof handle));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuIpcGetMemHandle(&handle, va));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuIpcGetMemHandle(&handle, pooled));
    EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, d) & 0xff);
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, va) & 0xff);
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, pooled) & 0xff);
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuIpcGetMemHandle(&handle, d));
}

static void networksReachWhatCuMemAllocMakes(void) {
    CUdeviceptr d, small;
    use_device(0);
    CUdeviceptr va = mapped(made(CU_MEM_HANDLE_TYPE_NONE)), pooled = from_pool();
    OK(cu.cuMemAlloc_v2(&d, 2 * MB));
    OK(cu.cuMemAlloc_v2(&small, 1000));
    EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, d) & 0xff);
    EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, small) & 0xff);
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, va) & 0xff);
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, pooled) & 0xff);
}

static void aRangeBecomesADmaBuffer(void) {
    CUdeviceptr d;
    int supported = 0, file = -1;
    use_device(0);
    OK(cu.cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED, 0));
    if (skipped(!supported, "the device shares no DMA buffers")) return;
    CUdeviceptr va = mapped(made(CU_MEM_HANDLE_TYPE_NONE));
    OK(cu.cuMemAlloc_v2(&d, 4 * MB));
    OK(cu.cuMemGetHandleForAddressRange(&file, d, 2 * MB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    EXPECT(fcntl(file, F_GETFD) >= 0);
    OK(close(file));
    OK(cu.cuMemGetHandleForAddressRange(&file, va, 2 * MB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    OK(close(file));
    EXPECT(cu.cuMemGetHandleForAddressRange(&file, d, 2 * MB, (CUmemRangeHandleType)77, 0) != CUDA_SUCCESS);
    EXPECT(cu.cuMemGetHandleForAddressRange(&file, d + 1, 2 * MB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0) != CUDA_SUCCESS);
    EXPECT(cu.cuMemGetHandleForAddressRange(&file, d, 0, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0) != CUDA_SUCCESS);
    EXPECT(cu.cuMemGetHandleForAddressRange(&file, d, 64 * MB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0) != CUDA_SUCCESS);
}

static void synchronousOperationsCanBeAskedFor(void) {
    CUdeviceptr d;
    unsigned on = 1;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4096));
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, d) & 0xff);
    OK(cu.cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, d));
    EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, d) & 0xff);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuPointerSetAttribute(NULL, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, d));
    EXPECT(cu.cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 0x1234) != CUDA_SUCCESS);
    OK(cu.cuMemFree_v2(d));
}

static void everyAllocationHasANumberOfItsOwn(void) {
    CUdeviceptr d;
    void *pinned = NULL;
    uint64_t seen[6] = {0};
    use_device(0);
    for (int i = 0; i < 2; i++) {
        OK(cu.cuMemAlloc_v2(&d, 2 * MB));
        seen[i] = attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, d);
        EXPECT(attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, d + 100) == seen[i]);
        OK(cu.cuMemFree_v2(d)); /* the next one may have its address, not its number */
    }
    OK(cu.cuMemHostAlloc(&pinned, 4096, 0));
    seen[2] = attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, (CUdeviceptr)(uintptr_t)pinned);
    seen[3] = attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, mapped(made(CU_MEM_HANDLE_TYPE_NONE)));
    seen[4] = attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, from_pool());
    seen[5] = attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, from_pool());
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++) EXPECT(seen[i] != seen[j]);
    OK(cu.cuMemFreeHost(pinned));
}

static void addressesTellHowTheyAreShared(void) {
    CUdeviceptr d;
    void *pinned = NULL;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 2 * MB));
    OK(cu.cuMemHostAlloc(&pinned, 4096, 0));
    CUdeviceptr plain = mapped(made(CU_MEM_HANDLE_TYPE_NONE)), shared = mapped(made(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    CUdeviceptr pooled = from_pool(), host = (CUdeviceptr)(uintptr_t)pinned;
    CUdeviceptr all[] = {d, host, plain, shared, pooled};
    for (int i = 0; i < 5; i++) {
        EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_MAPPED, all[i]) & 0xff);
        EXPECT_IS(all[i] == shared, attribute(CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, all[i]) & 0xff);
        EXPECT_IS(3, attribute(CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, all[i]) & 0xff);
        EXPECT_IS(all[i] == pooled, attribute(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, all[i]) != 0);
    }
    OK(cu.cuMemFreeHost(pinned));
}

static void theNewAttributesComeTogetherToo(void) {
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_BUFFER_ID, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES};
    uint64_t id = 0, pool = 9, access = 0, types = 9;
    void *data[] = {&id, &pool, &access, &types};
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4096));
    OK(cu.cuPointerGetAttributes(4, which, data, d));
    EXPECT(id == attribute(CU_POINTER_ATTRIBUTE_BUFFER_ID, d) && !pool && access == 3 && !(types & 0xff));
    OK(cu.cuMemFree_v2(d));
}

int main(void) {
    RUN(aHandleMadeForItIsExported);
    RUN(aHandleNotMadeForItIsNot);
    RUN(anyFileIsNoMemory);
    RUN(legacySharingIsOfCuMemAllocAlone);
    RUN(networksReachWhatCuMemAllocMakes);
    RUN(aRangeBecomesADmaBuffer);
    RUN(synchronousOperationsCanBeAskedFor);
    RUN(everyAllocationHasANumberOfItsOwn);
    RUN(addressesTellHowTheyAreShared);
    RUN(theNewAttributesComeTogetherToo);
    return summary();
}
