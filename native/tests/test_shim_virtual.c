/* What a program makes with the driver's virtual memory management is parked as it is. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "virtual.h"

#include <fcntl.h>

static void round_trip(void) {
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

static void aHandleMayGoBeforeItsMapping(void) {
    use_device(0);
    size_t before = settled_memory();
    handle_t h = made(4 * MIB);
    CUdeviceptr va = mapped(4 * MIB, h);
    write_pattern(va, 4 * MIB, 1);
    OK(cu.cuMemRelease(h));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRelease(h));
    round_trip();
    EXPECT_PATTERN(va, 4 * MIB, 1);
    OK(cu.cuMemUnmap(va, 4 * MIB));
    EXPECT_IS(before, free_memory());
    EXPECT_IS(0, status_of("parkable_bytes"));
    OK(cu.cuMemAddressFree(va, 4 * MIB));
}

static void aMappingMayGoBeforeItsHandle(void) {
    use_device(0);
    size_t before = settled_memory();
    handle_t h = made(4 * MIB);
    CUdeviceptr va = mapped(4 * MIB, h);
    write_pattern(va, 4 * MIB, 1);
    OK(cu.cuCtxSynchronize()); /* an upload may still be under way */
    OK(cu.cuMemUnmap(va, 4 * MIB));
    round_trip(); /* mapped nowhere */
    mapped_at(va, 4 * MIB, h);
    EXPECT_PATTERN(va, 4 * MIB, 1);
    OK(cu.cuMemUnmap(va, 4 * MIB));
    OK(cu.cuMemRelease(h));
    EXPECT_IS(before, free_memory());
}

static void whatIsMappedNowhereIsParked(void) {
    use_device(0);
    handle_t h[3] = {made(2 * MIB), made(4 * MIB), made(2 * MIB)};
    CUdeviceptr va = reserved(4 * MIB);
    for (unsigned i = 0; i < 3; i++) {
        size_t bytes = i == 1 ? 4 * MIB : 2 * MIB;
        mapped_at(va, bytes, h[i]);
        write_pattern(va, bytes, i);
        OK(cu.cuCtxSynchronize());
        OK(cu.cuMemUnmap(va, bytes));
    }
    COMMAND_OK("park");
    EXPECT_IS(8 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    for (unsigned i = 3; i-- > 0;) {
        size_t bytes = i == 1 ? 4 * MIB : 2 * MIB;
        mapped_at(va, bytes, h[i]);
        EXPECT_PATTERN(va, bytes, i);
        OK(cu.cuMemUnmap(va, bytes));
        OK(cu.cuMemRelease(h[i]));
    }
}

static void retainedHandlesAreCounted(void) {
    handle_t again = 0;
    use_device(0);
    handle_t h = made(2 * MIB);
    CUdeviceptr va = mapped(2 * MIB, h);
    OK(cu.cuMemRelease(h));
    OK(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(va + MIB)));
    write_pattern(va, 2 * MIB, 1);
    OK(cu.cuMemUnmap(va, 2 * MIB));
    round_trip();
    mapped_at(va, 2 * MIB, again);
    EXPECT_PATTERN(va, 2 * MIB, 1);
    OK(cu.cuMemRetainAllocationHandle(&h, (void *)(uintptr_t)va));
    EXPECT(h == again);
    OK(cu.cuMemRelease(h));
    OK(cu.cuMemRelease(again));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRelease(again));
    round_trip();
    EXPECT_PATTERN(va, 2 * MIB, 1);
    OK(cu.cuMemUnmap(va, 2 * MIB));
}

static void oneHandleMappedTwiceIsOneMemory(void) {
    use_device(0);
    size_t before = settled_memory();
    handle_t h = made(2 * MIB);
    CUdeviceptr va = reserved(4 * MIB);
    mapped_at(va, 2 * MIB, h);
    mapped_at(va + 2 * MIB, 2 * MIB, h);
    OK(cu.cuMemRelease(h));
    write_pattern(va, 2 * MIB, 1);
    COMMAND_OK("park");
    EXPECT_IS(2 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(va + 2 * MIB, 2 * MIB, 1);
    write_pattern(va + 2 * MIB, 2 * MIB, 2);
    EXPECT_PATTERN(va, 2 * MIB, 2);
    OK(cu.cuMemUnmap(va, 2 * MIB));
    round_trip();
    EXPECT_PATTERN(va + 2 * MIB, 2 * MIB, 2);
    OK(cu.cuMemUnmap(va, 4 * MIB)); /* with the hole before it */
    EXPECT_IS(before, free_memory());
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemMap(va, 2 * MIB, 0, h, 0));
}

static void accessIsPutBackAsItWas(void) {
    use_device(0);
    handle_t h = made(2 * MIB);
    CUdeviceptr va = reserved(8 * MIB);
    mapped_at(va, 2 * MIB, h);
    write_pattern(va, 2 * MIB, 1);
    OK(cu.cuMemMap(va + 2 * MIB, 2 * MIB, 0, h, 0));
    OK(allow_on(0, va + 2 * MIB, 2 * MIB, CU_MEM_ACCESS_FLAGS_PROT_READ));
    OK(cu.cuMemMap(va + 4 * MIB, 2 * MIB, 0, h, 0)); /* never allowed */
    OK(cu.cuMemMap(va + 6 * MIB, 2 * MIB, 0, h, 0));
    OK(allow(va + 6 * MIB, 2 * MIB));
    OK(allow_on(0, va + 6 * MIB, 2 * MIB, CU_MEM_ACCESS_FLAGS_PROT_NONE));
    for (int parked = 0; parked < 2; parked++) {
        EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, allowed_on(0, va));
        EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READ, allowed_on(0, va + 3 * MIB));
        EXPECT_IS(0, allowed_on(0, va + 4 * MIB));
        EXPECT_IS(0, allowed_on(0, va + 6 * MIB));
        EXPECT_PATTERN(va + 2 * MIB, 2 * MIB, 1);
        EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(va + 4 * MIB, 1, 1));
        EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(va + 6 * MIB, 1, 1));
        if (!parked) round_trip();
    }
}

static void onlyReadableMemoryIsParked(void) {
    use_device(0);
    handle_t h = made(2 * MIB);
    CUdeviceptr va = mapped(2 * MIB, h);
    write_pattern(va, 2 * MIB, 1);
    OK(allow_on(0, va, 2 * MIB, CU_MEM_ACCESS_FLAGS_PROT_READ));
    round_trip();
    EXPECT_PATTERN(va, 2 * MIB, 1);
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READ, allowed_on(0, va));
    OK(cu.cuMemUnmap(va, 2 * MIB));
    OK(cu.cuMemRelease(h));
}

static void memoryForAnotherDeviceAloneIsParked(void) {
    int count = 0;
    handle_t h = 0;
    CUmemAllocationProp prop = prop_on(1);
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    OK(cu.cuDeviceGetCount(&count));
    if (skipped(count < 2, "one device")) return;
    OK(cu.cuMemCreate(&h, 2 * MIB, &prop, 0));
    CUdeviceptr va = reserved(2 * MIB);
    OK(cu.cuMemMap(va, 2 * MIB, 0, h, 0));
    OK(allow(va, 2 * MIB));
    write_pattern(va, 2 * MIB, 1);
    EXPECT_IS(2 * MIB, status_of("left_bytes")); /* no context on its device to copy with */
    round_trip();
    EXPECT_PATTERN(va, 2 * MIB, 1);
    use_device(1);
    use_device(0);
    EXPECT_IS(0, status_of("left_bytes"));
    COMMAND_OK("park");
    EXPECT_IS(2 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(va, 2 * MIB, 1);
    EXPECT_IS(0, allowed_on(1, va));
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, allowed_on(0, va));
}

/* As an allocator does that lets its segments grow: one reservation, many handles in a row. */
static void aSegmentOfManyHandlesIsOneMemory(void) {
    enum { PARTS = 10 };
    use_device(0);
    size_t before = settled_memory();
    CUdeviceptr va = reserved((size_t)PARTS * 2 * MIB);
    for (int i = 0; i < PARTS; i++) {
        handle_t h = made(2 * MIB);
        OK(cu.cuMemMap(va + (size_t)i * 2 * MIB, 2 * MIB, 0, h, 0));
        OK(cu.cuMemRelease(h));
    }
    OK(allow(va, (size_t)PARTS * 2 * MIB));
    write_pattern(va + 1000, (size_t)PARTS * 2 * MIB - 5000, 1);
    round_trip();
    EXPECT_PATTERN(va + 1000, (size_t)PARTS * 2 * MIB - 5000, 1);
    OK(filled_at(va + 2 * MIB - 32)); /* over a seam */
    OK(cu.cuMemUnmap(va + 4 * 2 * MIB, 3 * 2 * MIB));
    write_pattern(va, 4 * 2 * MIB, 2);
    write_pattern(va + 7 * 2 * MIB, 3 * 2 * MIB, 3);
    COMMAND_OK("park");
    EXPECT_IS((PARTS - 3) * 2 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(va, 4 * 2 * MIB, 2);
    EXPECT_PATTERN(va + 7 * 2 * MIB, 3 * 2 * MIB, 3);
    mapped_at(va + 5 * 2 * MIB, 4 * MIB, made(4 * MIB));
    write_pattern(va + 5 * 2 * MIB, 4 * MIB, 4);
    round_trip();
    EXPECT_PATTERN(va + 5 * 2 * MIB, 4 * MIB, 4);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemAddressFree(va, (size_t)PARTS * 2 * MIB));
    OK(cu.cuMemUnmap(va, (size_t)PARTS * 2 * MIB));
    OK(cu.cuMemAddressFree(va, (size_t)PARTS * 2 * MIB));
    EXPECT_IS(before - 4 * MIB, free_memory()); /* whose handle is still held */
}

static void whatOthersMayReachStays(void) {
    CUmemAllocationProp prop = prop_on(0);
    handle_t h = 0;
    int file = -1;
    use_device(0);
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    OK(cu.cuMemCreate(&h, 2 * MIB, &prop, 0));
    CUdeviceptr va = mapped(2 * MIB, h), other = mapped(4 * MIB, made(4 * MIB));
    write_pattern(va, 2 * MIB, 1);
    write_pattern(other, 4 * MIB, 2);
    EXPECT_IS(6 * MIB, status_of("parkable_bytes")); /* it could be exported, and is not */
    OK(cu.cuMemExportToShareableHandle(&file, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    EXPECT_IS(4 * MIB, status_of("parkable_bytes"));
    EXPECT_IS(2 * MIB, status_of("left_bytes"));
    handle_t imported = 0;
    OK(cu.cuMemImportFromShareableHandle(&imported, (void *)(intptr_t)file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    CUdeviceptr second = mapped(2 * MIB, imported);
    const char *answer = command("park");
    EXPECT(is_ok(answer) && number_of(answer, "left_bytes") == 2 * MIB && number_of(answer, "bytes") == 4 * MIB);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(va, 2 * MIB, 1);
    EXPECT_PATTERN(second, 2 * MIB, 1);
    EXPECT_PATTERN(other, 4 * MIB, 2);
    OK(cu.cuMemUnmap(second, 2 * MIB));
    OK(cu.cuMemRelease(imported));
    OK(close(file));
}

static void aDmaBufferStays(void) {
    CUdeviceptr d;
    int supported = 0, file = -1;
    use_device(0);
    OK(cu.cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED, 0));
    if (skipped(!supported, "the device shares no DMA buffers")) return;
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    CUdeviceptr va = mapped(2 * MIB, made(2 * MIB));
    OK(cu.cuMemGetHandleForAddressRange(&file, d, 2 * MIB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    OK(close(file));
    EXPECT_IS(4 * MIB, status_of("left_bytes"));
    OK(cu.cuMemGetHandleForAddressRange(&file, va, 2 * MIB, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    OK(close(file));
    EXPECT_IS(6 * MIB, status_of("left_bytes"));
    EXPECT_IS(0, status_of("parkable_bytes"));
    round_trip();
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(2 * MIB, status_of("left_bytes"));
}

static void staleHandlesAreInvalid(void) {
    CUmemAllocationProp prop;
    int file;
    use_device(0);
    handle_t h = made(2 * MIB), none = 0x1234;
    CUdeviceptr va = reserved(2 * MIB);
    OK(cu.cuMemRelease(h));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRelease(h));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemMap(va, 2 * MIB, 0, h, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemGetAllocationPropertiesFromHandle(&prop, h));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemExportToShareableHandle(&file, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    if (simulated()) EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRelease(none));
    h = made(2 * MIB); /* may have the same handle */
    OK(cu.cuMemGetAllocationPropertiesFromHandle(&prop, h));
    OK(cu.cuMemRelease(h));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemCreate(NULL, 2 * MIB, &prop, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRetainAllocationHandle(NULL, (void *)(uintptr_t)va));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemRetainAllocationHandle(&h, (void *)(uintptr_t)va));
}

static void manyHandlesKeepTheirNumbers(void) {
    enum { MANY = 700 };
    static handle_t h[MANY];
    unsigned char seen[2] = "";
    use_device(0);
    CUdeviceptr va = reserved(2 * MIB);
    for (int i = 0; i < MANY; i++) h[i] = made(2 * MIB);
    for (int i = 0; i < MANY; i += 2) OK(cu.cuMemRelease(h[i]));
    for (int i = 0; i < MANY; i += 4) h[i] = made(2 * MIB);
    for (int i = 1; i < MANY; i += 150) {
        mapped_at(va, 2 * MIB, h[i]);
        OK(cu.cuMemsetD8_v2(va, (unsigned char)(i % 251), 2 * MIB));
        OK(cu.cuCtxSynchronize());
        OK(cu.cuMemUnmap(va, 2 * MIB));
    }
    for (int i = 3; i < MANY; i++)
        if (i % 4 == 0 || i % 2) if (i % 150 != 1) OK(cu.cuMemRelease(h[i]));
    round_trip();
    for (int i = 1; i < MANY; i += 150) {
        mapped_at(va, 2 * MIB, h[i]);
        OK(cu.cuMemcpyDtoH_v2(seen, va + 2 * MIB - 1, 1));
        EXPECT_IS(i % 251, seen[0]);
        OK(cu.cuMemUnmap(va, 2 * MIB));
    }
}

int main(void) {
    RUN(aHandleMayGoBeforeItsMapping);
    RUN(aMappingMayGoBeforeItsHandle);
    RUN(whatIsMappedNowhereIsParked);
    RUN(retainedHandlesAreCounted);
    RUN(oneHandleMappedTwiceIsOneMemory);
    RUN(accessIsPutBackAsItWas);
    RUN(onlyReadableMemoryIsParked);
    RUN(memoryForAnotherDeviceAloneIsParked);
    RUN(aSegmentOfManyHandlesIsOneMemory);
    RUN(whatOthersMayReachStays);
    RUN(aDmaBufferStays);
    RUN(staleHandlesAreInvalid);
    RUN(manyHandlesKeepTheirNumbers);
    return summary();
}
