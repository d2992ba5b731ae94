/* Copies over more than one allocation or mapping: what the driver refuses the engine does not make. */
#include "shim.h"
#include "outcome.h"

enum { MB = 1 << 20, PART = 2 * MB, PARTS = 8, ALL = PARTS * PART };

static CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static CUdeviceptr va;

static void map_part(int i) {
    CUmemGenericAllocationHandle handle;
    CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    OK(cu.cuMemCreate(&handle, PART, &prop, 0));
    OK(cu.cuMemMap(va + (size_t)i * PART, PART, 0, handle, 0));
    OK(cu.cuMemSetAccess(va + (size_t)i * PART, PART, &access, 1));
    OK(cu.cuMemRelease(handle));
}

/* Physical memory in parts beside each other, as PyTorch's expandable segments have it. A negative part: none is missing. */
static void map_all_but(int missing) {
    engine_takes_most("3");
    use_device(0);
    OK(cu.cuMemAddressReserve(&va, ALL, 0, 0, 0));
    for (int i = 0; i < PARTS; i++)
        if (i != missing) map_part(i);
}

/* Up and down, and the engine has made so many of the two. */
static void expect_right(CUdeviceptr device, size_t bytes, enum form form, int by) {
    unsigned long long before = by_engine();
    char *out = pattern_of(bytes, (unsigned)form), *in = calloc(1, bytes);
    OK(upload(form, device, out, bytes, NULL));
    OK(settle(form, NULL));
    OK(download(form, in, device, bytes, NULL));
    EXPECT(!memcmp(in, out, bytes));
    EXPECT_IS(before + (unsigned)by, by_engine());
    free(out);
    free(in);
}

static void copiesOverManyMappingsAreTheEngines(void) {
    map_all_but(-1);
    for (enum form form = PLAIN; form < LATER; form++) {
        expect_right(va, ALL, form, 2);
        expect_right(va + 12345, ALL - 54321, form, 2);
        expect_right(va + PART - 1, PART + 2, form, 2);
        expect_right(va + PART, PART, form, 2);
    }
}

/* Nothing is copied either, not even of the part that is there. */
static void expect_refused(CUdeviceptr device, size_t bytes, size_t there) {
    unsigned long long other = statistic("passed_other");
    char *host = malloc(bytes), *back = calloc(1, bytes);
    memset(host, 'n', bytes);
    OK(cu.cuMemsetD8_v2(device, 'o', there));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(device, host, bytes));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2(host, device, bytes));
    EXPECT(all_are(host, 'n', bytes));
    driver_download(back, device, there, CU_STREAM_PER_THREAD);
    EXPECT(all_are(back, 'o', there));
    EXPECT_IS(other + 2, statistic("passed_other"));
    EXPECT_IS(0, by_engine());
    free(host);
    free(back);
}

static void aCopyOverAGapIsRefused(void) {
    map_all_but(PARTS / 2);
    expect_refused(va, ALL, PART);
    expect_right(va, PARTS / 2 * PART, PLAIN, 2);
    expect_right(va + (PARTS / 2 + 1) * PART, (PARTS / 2 - 1) * PART, PLAIN, 2);
}

/* 0: no allocation begins there. */
static CUdeviceptr allocated_at(CUdeviceptr wanted) {
    CUdeviceptr got = 0;
    for (int i = 0; i < 64 && got != wanted; i++) OK(cu.cuMemAlloc_v2(&got, PART));
    return got == wanted ? got : 0;
}

/* Whatever it says of them. */
static void copiesFromAMappingIntoAnAllocationAreTheDrivers(void) {
    map_all_but(-1);
    if (skipped(!allocated_at(va + ALL), "no allocation is beside the mapping")) return;
    char *host = calloc(1, 2 * MB);
    cu.cuMemcpyHtoD_v2(va + ALL - MB, host, 2 * MB);
    cu.cuMemcpyDtoH_v2(host, va + ALL - MB, 2 * MB);
    EXPECT_IS(2, statistic("passed_other"));
    EXPECT_IS(0, by_engine());
    free(host);
}

static void aCopyOverTwoAllocationsIsRefused(void) {
    CUdeviceptr first;
    engine_takes_most("3");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&first, PART));
    if (skipped(!allocated_at(first + PART), "no two allocations are beside each other")) return;
    expect_refused(first, 2 * PART, PART);
    expect_refused(first + PART - 64 * 1024, 128 * 1024, 64 * 1024);
    expect_right(first, PART, PLAIN, 2);
}

static void with_faults(const char *faults) {
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    map_all_but(-1);
}

static void whereHandlesAreNotToldMappingsAreTheDrivers(void) {
    with_faults("cuMemRetainAllocationHandle=801");
    expect_right(va, ALL, PLAIN, 0);
    EXPECT_IS(2, statistic("passed_other"));
    expect_right(va, PART, PLAIN, 2);
}

static void memoryWhoseRangeIsNotToldIsTheDrivers(void) {
    with_faults("cuMemGetAddressRange#1=999");
    expect_right(va, ALL, PLAIN, 1);
    EXPECT_IS(1, statistic("passed_other"));
}

int main(void) {
    RUN(copiesOverManyMappingsAreTheEngines);
    RUN(aCopyOverAGapIsRefused);
    RUN(copiesFromAMappingIntoAnAllocationAreTheDrivers);
    RUN(aCopyOverTwoAllocationsIsRefused);
    RUN_SIMULATED(whereHandlesAreNotToldMappingsAreTheDrivers, "a real driver takes no faults");
    RUN_SIMULATED(memoryWhoseRangeIsNotToldIsTheDrivers, "a real driver takes no faults");
    return summary();
}
