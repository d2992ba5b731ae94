/* The shim counts what its process has of other processes' memory, which the driver does not tell. */
#include "parking.h"
#include "share.h"

static unsigned long long imports(void) { return status_of("imports"); }

static void legacyMemoryCountsUntilItIsClosed(void) {
    struct parcel_to_share parcel;
    CUdeviceptr d = 0, again = 0;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    OK(close(take_descriptor(peer, &parcel, sizeof parcel)));
    EXPECT_IS(0, imports());
    EXPECT(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 0) != CUDA_SUCCESS);
    EXPECT_IS(0, imports());
    OK(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 1));
    OK(cu.cuIpcOpenMemHandle_v2(&again, parcel.legacy, 1));
    EXPECT_IS(1, imports());
    OK(cu.cuIpcCloseMemHandle(d));
    EXPECT_IS(1, imports());
    OK(cu.cuIpcCloseMemHandle(d));
    EXPECT_IS(0, imports());
    end_sharer(peer, pid);
}

static void aContextTakesItsLegacyMemoryAlong(void) {
    struct parcel_to_share parcel;
    CUcontext context;
    CUdeviceptr d = 0;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    OK(close(take_descriptor(peer, &parcel, sizeof parcel)));
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    OK(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 1));
    EXPECT_IS(1, imports());
    OK(cu.cuCtxDestroy_v2(context));
    EXPECT_IS(0, imports());
    end_sharer(peer, pid);
}

static void aHandleCountsUntilItIsReleasedAndUnmapped(void) {
    struct parcel_to_share parcel;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    int file = take_descriptor(peer, &parcel, sizeof parcel);
    CUmemGenericAllocationHandle handle = import_shared(file), retained = 0;
    EXPECT_IS(1, imports());
    CUdeviceptr va = map_shared(handle);
    OK(cu.cuMemRelease(handle));
    EXPECT_IS(1, imports());
    OK(cu.cuMemRetainAllocationHandle(&retained, (void *)(uintptr_t)va));
    OK(cu.cuMemUnmap(va, VIRTUAL_BYTES));
    EXPECT_IS(1, imports());
    OK(cu.cuMemRelease(retained));
    EXPECT_IS(0, imports());
    CUmemGenericAllocationHandle many[40];
    for (int i = 0; i < 40; i++) many[i] = import_shared(file);
    EXPECT_IS(40, imports());
    for (int i = 0; i < 40; i++) OK(cu.cuMemRelease(many[i]));
    EXPECT_IS(0, imports());
    OK(close(file));
    end_sharer(peer, pid);
}

static void whatIsOnlyExportedDoesNotCount(void) {
    int file = -1;
    use_device(0);
    CUmemGenericAllocationHandle handle = make_shared(&file);
    EXPECT_IS(0, imports());
    CUmemGenericAllocationHandle own = import_shared(file); /* is lost as others are */
    EXPECT_IS(1, imports());
    OK(cu.cuMemRelease(own));
    EXPECT_IS(0, imports());
    OK(cu.cuMemRelease(handle));
    OK(close(file));
    EXPECT_IS(0, status_of("multicasts"));
}

int main(void) {
    RUN(legacyMemoryCountsUntilItIsClosed);
    RUN(aContextTakesItsLegacyMemoryAlong);
    RUN(aHandleCountsUntilItIsReleasedAndUnmapped);
    RUN(whatIsOnlyExportedDoesNotCount);
    return summary();
}
