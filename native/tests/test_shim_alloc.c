/* Allocations that can be parked answer and behave as the driver's own do. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"

#include <pthread.h>

static size_t rounded(size_t bytes) { return (bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB); }

static uint64_t attribute(CUpointer_attribute which, CUdeviceptr at) {
    uint64_t value = 0;
    OK(cu.cuPointerGetAttribute(&value, which, at));
    return value;
}

static void expect_range(CUdeviceptr at, CUdeviceptr base, size_t size) {
    CUdeviceptr got_base = 0;
    size_t got_size = 0;
    OK(cu.cuMemGetAddressRange_v2(&got_base, &got_size, at));
    EXPECT(got_base == base);
    EXPECT_IS(size, got_size);
    EXPECT(attribute(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, at) == base);
    EXPECT_IS(size, attribute(CU_POINTER_ATTRIBUTE_RANGE_SIZE, at));
}

static void sizesAroundTheGranuleAreWhatWasAsked(void) {
    static const size_t sizes[] = {1, 511, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB + 7, 4 * MIB - 1, 4 * MIB, 6 * MIB + 512};
    use_device(0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CUdeviceptr d = 0;
        OK(cu.cuMemAlloc_v2(&d, sizes[i]));
        expect_range(d, d, sizes[i]);
        expect_range(d + sizes[i] - 1, d, sizes[i]);
        EXPECT_IS(sizes[i] < 2 * MIB ? 0 : rounded(sizes[i]), status_of("parkable_bytes"));
        write_pattern(d, sizes[i], (unsigned)i);
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        expect_range(d, d, sizes[i]);
        EXPECT_PATTERN(d, sizes[i], (unsigned)i);
        OK(cu.cuMemFree_v2(d));
        EXPECT_IS(0, status_of("parkable_bytes"));
    }
}

static void nothingIsKnownBeyondTheEnd(void) {
    CUdeviceptr d, base;
    size_t size;
    int type = 7;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 2 * MIB + 512));
    for (size_t beyond = 2 * MIB + 512; beyond <= 4 * MIB; beyond += 2 * MIB - 512) {
        EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, d + beyond));
        EXPECT(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d + beyond) != CUDA_SUCCESS);
    }
    OK(cu.cuMemFree_v2(d));
}

/* New memory is empty. */
static int holds_what_it_held(size_t bytes, unsigned word) {
    CUdeviceptr d;
    unsigned first = 0;
    OK(cu.cuMemAlloc_v2(&d, bytes));
    OK(cu.cuMemcpyDtoH_v2(&first, d, sizeof first));
    return first == word;
}

static void hold(CUdeviceptr *d, size_t bytes, unsigned word) {
    OK(cu.cuMemAlloc_v2(d, bytes));
    OK(cu.cuMemsetD32_v2(*d, word, 1));
}

static void ofWhatIsFreedTheLargestIsGivenUpFirst(void) {
    CUdeviceptr d[3];
    setenv("TORPOR_FREED_KEEP", "64M", 1);
    use_device(0);
    hold(&d[0], 20 * MIB, 20);
    hold(&d[1], 22 * MIB, 22);
    hold(&d[2], 30 * MIB, 30);
    for (int i = 0; i < 3; i++) OK(cu.cuMemFree_v2(d[i]));
    EXPECT(holds_what_it_held(20 * MIB, 20));
    EXPECT(holds_what_it_held(22 * MIB, 22));
    if (!real_driver()) EXPECT(!holds_what_it_held(30 * MIB, 30)); /* whose memory need not be empty */
}

static void whatNobodyWantsIsGivenUp(void) {
    CUdeviceptr small[16], d;
    setenv("TORPOR_FREED_KEEP", "64M", 1);
    use_device(0);
    for (int i = 0; i < 16; i++) hold(&small[i], 4 * MIB, 4);
    for (int i = 0; i < 16; i++) OK(cu.cuMemFree_v2(small[i]));
    for (int i = 0; i < 100; i++) {
        hold(&d, 20 * MIB, 20);
        OK(cu.cuMemFree_v2(d));
    }
    EXPECT(holds_what_it_held(20 * MIB, 20));
    int left = 0;
    for (int i = 0; i < 16; i++) left += holds_what_it_held(4 * MIB, 4);
    EXPECT_IS(11, left); /* they make room, and no more than that */
}

static void whatIsFreedIsGivenBackAtOnceOnRequest(void) {
    CUdeviceptr d;
    setenv("TORPOR_FREED_KEEP", "0", 1);
    use_device(0);
    hold(&d, 20 * MIB, 20);
    OK(cu.cuMemFree_v2(d));
    if (!skipped(real_driver(), "whose memory need not be empty")) EXPECT(!holds_what_it_held(20 * MIB, 20));
}

static void memoryIsOutOfReachOfNetworksOnRequest(void) {
    CUdeviceptr d;
    setenv("TORPOR_PARK_RDMA", "0", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 2 * MIB));
    EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE, d));
    OK(cu.cuMemFree_v2(d));
}

static void onlyWhatIsLargeEnoughIsParked(void) {
    CUdeviceptr small, large;
    setenv("TORPOR_PARK_MIN", "8M", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&small, 8 * MIB - 1));
    EXPECT_IS(0, status_of("parkable_bytes"));
    OK(cu.cuMemAlloc_v2(&large, 8 * MIB));
    EXPECT_IS(8 * MIB, status_of("parkable_bytes"));
    write_pattern(small, 8 * MIB - 1, 1);
    write_pattern(large, 8 * MIB, 2);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(small, 8 * MIB - 1, 1);
    EXPECT_PATTERN(large, 8 * MIB, 2);
    OK(cu.cuMemFree_v2(small));
    OK(cu.cuMemFree_v2(large));
}

static void pitchedAllocationsArePitchedAsTheDriverDoes(void) {
    CUdeviceptr small, large;
    size_t pitch_small = 0, pitch = 0;
    use_device(0);
    OK(cu.cuMemAllocPitch_v2(&small, &pitch_small, 5000, 3, 8));
    OK(cu.cuMemAllocPitch_v2(&large, &pitch, 5000, 1000, 8));
    EXPECT_IS(pitch_small, pitch);
    EXPECT(status_of("parkable_bytes") >= pitch * 1000);
    expect_range(large + 17, large, pitch * 1000);
    write_pattern(large, pitch * 1000, 3);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(large, pitch * 1000, 3);
    OK(cu.cuMemFree_v2(large));
    OK(cu.cuMemFree_v2(small));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&large, &pitch, 5000, 1000, 5));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&large, &pitch, 5000, 0, 4));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(NULL, &pitch, 5000, 1000, 4));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAllocPitch_v2(&large, NULL, 5000, 1000, 4));
    EXPECT(cu.cuMemAllocPitch_v2(&large, &pitch, SIZE_MAX / 2, 3, 4) != CUDA_SUCCESS);
    EXPECT_IS(0, status_of("parkable_bytes"));
}

static void whatCannotBeIsRefusedAsByTheDriver(void) {
    CUdeviceptr d;
    use_device(0);
    size_t before = free_memory();
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAlloc_v2(&d, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAlloc_v2(NULL, 4 * MIB));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&d, 1ULL << 50));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&d, SIZE_MAX));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&d, SIZE_MAX - 2 * MIB + 1));
    EXPECT_IS(before, free_memory());
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    OK(cu.cuMemFree_v2(d));
    OK(cu.cuCtxSetCurrent(NULL));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuMemAlloc_v2(&d, 4 * MIB));
}

static void memoryThatRanOutIsThereAgainAfterAFree(void) {
    CUdeviceptr a, b, c;
    fresh_machine(1, "256M");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&a, 100 * MIB));
    OK(cu.cuMemAlloc_v2(&b, 100 * MIB));
    size_t before = free_memory();
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&c, 100 * MIB));
    EXPECT_IS(before, free_memory());
    OK(cu.cuMemFree_v2(a));
    OK(cu.cuMemAlloc_v2(&c, 100 * MIB));
    write_pattern(c, 1000, 1);
    OK(cu.cuMemFree_v2(b));
    OK(cu.cuMemFree_v2(c));
    EXPECT_IS(before + 200 * MIB, free_memory());
}

static void addressesTellWhatTheDriversWould(void) {
    CUcontext mine = use_device(0), context = NULL;
    CUdeviceptr d;
    OK(cu.cuMemAlloc_v2(&d, 3 * MIB));
    for (CUdeviceptr at = d; at < d + 3 * MIB; at += 3 * MIB - 1) {
        OK(cu.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, at));
        EXPECT(context == mine);
        EXPECT_IS(CU_MEMORYTYPE_DEVICE, attribute(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at));
        EXPECT(attribute(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, at) == at);
        EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_IS_MANAGED, at) & 0xff);
        EXPECT_IS(1, attribute(CU_POINTER_ATTRIBUTE_MAPPED, at) & 0xff);
        EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, at));
        EXPECT_IS(0, attribute(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, at));
    }
    OK(cu.cuMemFree_v2(d));
}

static void aFreeWaitsForWorkThatRuns(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = made_stream();
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    double begun = now_ms();
    OK(spin(s, 150));
    OK(fill_words(d, MIB / 2, 1, s));
    OK(cu.cuMemFree_v2(d));
    EXPECT(now_ms() - begun >= 149);
    OK(cu.cuStreamSynchronize(s));
}

static CUcontext mine;
static void *free_it(void *address) {
    OK(cu.cuCtxSetCurrent(mine));
    OK(cu.cuMemFree_v2(*(CUdeviceptr *)address));
    return NULL;
}

static void aFreeThatWaitsSpoilsNoCapture(void) {
    CUdeviceptr d;
    CUgraph captured;
    pthread_t thread;
    mine = use_device(0);
    CUstream s = made_stream(), t = made_stream();
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    OK(spin(s, 100));
    pthread_create(&thread, NULL, free_it, &d);
    sleep_ms(30);
    OK(cu.cuStreamBeginCapture_v2(t, CU_STREAM_CAPTURE_MODE_RELAXED));
    pthread_join(thread, NULL);
    OK(cu.cuStreamEndCapture(t, &captured));
}

static void whatIsNoAllocationIsNotFreed(void) {
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemFree_v2(0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(0x1234));
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d + 512));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d + 2 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d - 2 * MIB));
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    OK(cu.cuMemFree_v2(d));
}

static void allocationsAreNoMappings(void) {
    CUmemGenericAllocationHandle handle;
    CUmemAccessDesc all = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READ};
    unsigned long long flags;
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemUnmap(d, 4 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemUnmap(d - 2 * MIB, 8 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(d, 4 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(d - 2 * MIB, 8 * MIB));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemSetAccess(d, 4 * MIB, &all, 1));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemGetAccess(&flags, &all.location, d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)d));
    EXPECT_PATTERN(d, 4 * MIB, 1);
    OK(cu.cuMemFree_v2(d));
}

static void aContextTakesItsAllocationsAlong(void) {
    CUcontext primary = use_device(0), made;
    CUdeviceptr d, kept, base;
    size_t size;
    OK(cu.cuMemAlloc_v2(&kept, 4 * MIB));
    write_pattern(kept, 4 * MIB, 1);
    OK(cu.cuCtxCreate_v2(&made, 0, 0)); /* once for what stays of the first */
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxSetCurrent(primary));
    size_t before = free_memory();
    OK(cu.cuCtxCreate_v2(&made, 0, 0));
    OK(cu.cuMemAlloc_v2(&d, 64 * MIB));
    EXPECT_IS(68 * MIB, status_of("parkable_bytes"));
    OK(cu.cuCtxDestroy_v2(made));
    OK(cu.cuCtxSetCurrent(primary));
    EXPECT_IS(before, free_memory());
    EXPECT_IS(4 * MIB, status_of("parkable_bytes"));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, d));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
    EXPECT_PATTERN(kept, 4 * MIB, 1);
    OK(cu.cuMemFree_v2(kept));
}

static void end_primary(int reset) {
    CUdeviceptr d, again;
    CUcontext context;
    use_device(0);
    OK(reset ? cu.cuDevicePrimaryCtxReset_v2(0) : cu.cuDevicePrimaryCtxRelease_v2(0)); /* what the first costs for good is paid */
    context = use_device(0);
    size_t before = free_memory();
    OK(cu.cuMemAlloc_v2(&d, 64 * MIB));
    OK(reset ? cu.cuDevicePrimaryCtxReset_v2(0) : cu.cuDevicePrimaryCtxRelease_v2(0));
    EXPECT_IS(0, status_of("parkable_bytes"));
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    OK(cu.cuCtxSetCurrent(context));
    EXPECT_IS(before, free_memory());
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
    OK(cu.cuMemAlloc_v2(&again, 4 * MIB));
    write_pattern(again, 4 * MIB, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(again, 4 * MIB, 1);
}

static void aPrimaryContextThatIsResetGivesItsMemoryBack(void) { end_primary(1); }
static void aPrimaryContextThatIsLetGoGivesItsMemoryBack(void) { end_primary(0); }

static void withoutParkingAllIsTheDrivers(void) {
    CUdeviceptr d;
    setenv("TORPOR_PARK", "0", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 8 * MIB));
    EXPECT_IS(0, status_of("parkable_bytes"));
    expect_range(d + 5, d, 8 * MIB);
    COMMAND_FAILS("off", "park");
    COMMAND_FAILS("off", "unpark");
    COMMAND_FAILS("off", "prepare");
    COMMAND_FAILS("off", "release");
    OK(cu.cuMemFree_v2(d));
}

/* --- what other devices may do --- */

static CUcontext two[2];

static int two_devices(void) {
    int count = 0;
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    OK(cu.cuDeviceGetCount(&count));
    if (skipped(count < 2, "one device")) return 0;
    for (int d = 1; d >= 0; d--) two[d] = use_device(d);
    return 1;
}

static CUdeviceptr allocated_on(int device) {
    CUdeviceptr d = 0;
    OK(cu.cuCtxSetCurrent(two[device]));
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    OK(cu.cuCtxSetCurrent(two[0]));
    return d;
}

static void peersReachWhatIsThereAndWhatComes(void) {
    if (!two_devices()) return;
    CUdeviceptr before = allocated_on(1);
    OK(cu.cuCtxEnablePeerAccess(two[1], 0));
    CUdeviceptr after = allocated_on(1);
    for (int parked = 0; parked < 2; parked++) {
        OK(filled_at(before));
        OK(filled_at(after));
        COMMAND_OK("park");
        COMMAND_OK("unpark");
    }
    OK(cu.cuCtxDisablePeerAccess(two[1]));
    CUdeviceptr last = allocated_on(1);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(before, 1, MIB)); /* a fill without access */
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(last, 1, MIB)); /* a fill without access */
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(after, 1, MIB)); /* a fill without access */
    OK(cu.cuCtxEnablePeerAccess(two[1], 0));
    OK(filled_at(last));
    OK(filled_at(before));
    OK(cu.cuCtxDisablePeerAccess(two[1]));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, filled_at(after));
}

static void memoryOfTwoDevicesIsParkedTogether(void) {
    if (!two_devices()) return;
    CUdeviceptr d[2] = {allocated_on(0), allocated_on(1)};
    for (int i = 0; i < 2; i++) {
        OK(cu.cuCtxSetCurrent(two[i]));
        write_pattern(d[i], 4 * MIB, (unsigned)i);
    }
    COMMAND_OK("park");
    EXPECT_IS(8 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    for (int i = 0; i < 2; i++) {
        OK(cu.cuCtxSetCurrent(two[i]));
        EXPECT_PATTERN(d[i], 4 * MIB, (unsigned)i);
    }
}

int main(void) {
    RUN(sizesAroundTheGranuleAreWhatWasAsked);
    RUN(nothingIsKnownBeyondTheEnd);
    RUN(ofWhatIsFreedTheLargestIsGivenUpFirst);
    RUN(whatNobodyWantsIsGivenUp);
    RUN(whatIsFreedIsGivenBackAtOnceOnRequest);
    RUN(memoryIsOutOfReachOfNetworksOnRequest);
    RUN(onlyWhatIsLargeEnoughIsParked);
    RUN(pitchedAllocationsArePitchedAsTheDriverDoes);
    RUN(whatCannotBeIsRefusedAsByTheDriver);
    RUN_SIMULATED(memoryThatRanOutIsThereAgainAfterAFree, "takes all of a small device's memory");
    RUN(addressesTellWhatTheDriversWould);
    RUN(aFreeWaitsForWorkThatRuns);
    RUN(aFreeThatWaitsSpoilsNoCapture);
    RUN(whatIsNoAllocationIsNotFreed);
    RUN(allocationsAreNoMappings);
    RUN(aContextTakesItsAllocationsAlong);
    RUN(aPrimaryContextThatIsResetGivesItsMemoryBack);
    RUN(aPrimaryContextThatIsLetGoGivesItsMemoryBack);
    RUN(withoutParkingAllIsTheDrivers);
    RUN(peersReachWhatIsThereAndWhatComes);
    RUN(memoryOfTwoDevicesIsParkedTogether);
    return summary();
}
