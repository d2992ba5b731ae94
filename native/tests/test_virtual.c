#include "harness.h"

enum { MB = 1 << 20 };
static CUmemAllocationProp prop;
static CUmemAccessDesc access_all;
static CUmemGenericAllocationHandle handle;
static CUdeviceptr va;
static char h[4096];

static void set_up(void) {
    use_device(0);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access_all.location = prop.location;
    access_all.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    OK(cu.cuMemCreate(&handle, 4 * MB, &prop, 0));
    OK(cu.cuMemAddressReserve(&va, 8 * MB, 0, 0, 0));
}

static void sizesMustFitTheGranularity(void) {
    size_t g = 0;
    CUmemGenericAllocationHandle other;
    CUdeviceptr address;
    set_up();
    OK(cu.cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    EXPECT_IS(2 * MB, g);
    OK(cu.cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    EXPECT_IS(2 * MB, g);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemCreate(&other, 1000, &prop, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressReserve(&address, 1000, 0, 0, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressReserve(&address, 8 * MB, 3, 0, 0));
}

static void handlesAreMappedWhole(void) {
    set_up();
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemMap(va + 100, 4 * MB, 0, handle, 0));
    EXPECT_IS(CUDA_ERROR_NOT_SUPPORTED, cu.cuMemMap(va, 4 * MB, 2 * MB, handle, 0));
    EXPECT_IS(CUDA_ERROR_NOT_SUPPORTED, cu.cuMemMap(va, 2 * MB, 0, handle, 0));
    OK(cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    OK(cu.cuMemMap(va + 4 * MB, 4 * MB, 0, handle, 0));
}

static void nothingIsReachedWithoutAccess(void) {
    unsigned long long flags = 9;
    set_up();
    OK(cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    OK(cu.cuMemMap(va + 4 * MB, 4 * MB, 0, handle, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(va, h, 10));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(va, 1, 10));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemGetAccess(&flags, &access_all.location, va));
    EXPECT_IS(0, flags);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemSetAccess(va, 2 * MB, &access_all, 1));
    OK(cu.cuMemSetAccess(va, 4 * MB, &access_all, 1));
    OK(cu.cuMemGetAccess(&flags, &access_all.location, va));
    EXPECT_IS(3, flags);
    OK(cu.cuMemcpyHtoD_v2(va, h, 10));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(va + 4 * MB - 5, h, 10));
}

static void unmappingFollowsItsRules(void) {
    set_up();
    OK(cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(va, 8 * MB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemUnmap(va + 100, 4 * MB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemUnmap(va, 2 * MB));
    OK(cu.cuMemUnmap(va, 8 * MB));
    OK(cu.cuMemUnmap(va + 4 * MB, 4 * MB));
    OK(cu.cuMemUnmap(va, 4 * MB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(va));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(va, 4 * MB));
    OK(cu.cuMemAddressFree(va, 8 * MB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(va, 8 * MB));
}

static void aHandleLivesAsLongAsItIsHeldOrMapped(void) {
    CUmemGenericAllocationHandle again = 0;
    size_t before, after, total;
    set_up();
    OK(cu.cuMemGetInfo_v2(&before, &total));
    OK(cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, 4 * MB, &access_all, 1));
    OK(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)va));
    EXPECT(again == handle);
    OK(cu.cuMemRelease(handle));
    OK(cu.cuMemcpyHtoD_v2(va, h, 10));
    OK(cu.cuMemUnmap(va, 4 * MB));
    OK(cu.cuMemRelease(again));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRelease(again));
    OK(cu.cuMemGetInfo_v2(&after, &total));
    EXPECT_IS(4 * MB, after - before);
}

static void twoMappingsShowTheSameMemory(void) {
    char out[8] = {0};
    set_up();
    OK(cu.cuMemMap(va, 4 * MB, 0, handle, 0));
    OK(cu.cuMemMap(va + 4 * MB, 4 * MB, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, 8 * MB, &access_all, 1));
    OK(cu.cuMemcpyHtoD_v2(va + 100, "torpor!", 8));
    OK(cu.cuMemcpyDtoH_v2(out, va + 4 * MB + 100, 8));
    EXPECT(!strcmp(out, "torpor!"));
    OK(cu.cuMemsetD8_v2(va + 4 * MB - 4, 'x', 8)); /* over the seam */
    OK(cu.cuMemcpyDtoH_v2(out, va + 4 * MB - 4, 8));
    EXPECT(!memcmp(out, "xxxxxxxx", 8));
}

static void propertiesComeBack(void) {
    CUmemAllocationProp back;
    set_up();
    OK(cu.cuMemGetAllocationPropertiesFromHandle(&back, handle));
    EXPECT_IS(CU_MEM_LOCATION_TYPE_DEVICE, back.location.type);
    EXPECT_IS(0, back.location.id);
}

int main(void) {
    RUN(sizesMustFitTheGranularity);
    RUN(handlesAreMappedWhole);
    RUN(nothingIsReachedWithoutAccess);
    RUN(unmappingFollowsItsRules);
    RUN(aHandleLivesAsLongAsItIsHeldOrMapped);
    RUN(twoMappingsShowTheSameMemory);
    RUN(propertiesComeBack);
    return summary();
}
