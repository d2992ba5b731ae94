/* Memory of another process, and what becomes of who has it when the driver suspends it: as seen on an H200. */
#include "share.h"

static void legacyMemoryIsTheOthers(void) {
    struct parcel_to_share parcel;
    CUdeviceptr d = 0, again = 0;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    OK(close(take_descriptor(peer, &parcel, sizeof parcel)));
    EXPECT(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 0) != CUDA_SUCCESS);
    OK(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 1));
    expect_byte(42, d + LEGACY_BYTES - 1);
    OK(cu.cuIpcOpenMemHandle_v2(&again, parcel.legacy, 1));
    EXPECT(again == d);
    EXPECT(cu.cuMemFree_v2(d) != CUDA_SUCCESS);
    EXPECT(cu.cuIpcGetMemHandle(&parcel.legacy, d) != CUDA_SUCCESS);
    OK(cu.cuIpcCloseMemHandle(d));
    expect_byte(42, d);
    OK(cu.cuMemsetD8_v2(d, 42, LEGACY_BYTES));
    OK(cu.cuIpcCloseMemHandle(d));
    EXPECT(cu.cuIpcCloseMemHandle(d) != CUDA_SUCCESS);
    EXPECT(cu.cuMemcpyDtoH_v2(&again, d, 1) != CUDA_SUCCESS);
    expect_sharer_intact(peer);
    end_sharer(peer, pid);
}

static void aDescriptorsMemoryIsTheOthers(void) {
    struct parcel_to_share parcel;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    int file = take_descriptor(peer, &parcel, sizeof parcel);
    CUmemGenericAllocationHandle handle = import_shared(file);
    OK(close(file));
    CUdeviceptr va = map_shared(handle);
    OK(cu.cuMemRelease(handle));
    expect_byte(42, va + VIRTUAL_BYTES - 1);
    OK(cu.cuMemsetD8_v2(va, 7, 100));
    OK(cu.cuMemsetD8_v2(va, 42, 100));
    OK(cu.cuMemUnmap(va, VIRTUAL_BYTES));
    expect_sharer_intact(peer);
    end_sharer(peer, pid);
}

static void anOwnLegacyHandleIsNotOpened(void) {
    CUipcMemHandle handle;
    CUdeviceptr d, opened;
    setenv("TORPOR_PARK", "0", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, LEGACY_BYTES));
    OK(cu.cuIpcGetMemHandle(&handle, d));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuIpcOpenMemHandle_v2(&opened, handle, 1));
    OK(cu.cuMemFree_v2(d));
}

static void whoHasOnlyMadeItComesBack(void) {
    struct parcel_to_share parcel;
    CUdeviceptr d = 0;
    int peer, pid = start_sharer(&peer);
    use_device(0);
    int file = take_descriptor(peer, &parcel, sizeof parcel);
    OK(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 1));
    CUdeviceptr va = map_shared(import_shared(file));
    suspend(pid);
    resume(pid);
    expect_sharer_intact(peer);
    expect_byte(42, d);
    expect_byte(42, va);
    end_sharer(peer, pid);
}

/* How an importer takes part of what it was given, and whether all of it is given up before it is suspended. */
enum how { OPENS, MAPS, IMPORTS, NOTHING_STAYS };
struct importer { enum how how; int peer, ready[2], go[2]; };

static void take_part(void *argument) {
    struct importer *importer = argument;
    struct parcel_to_share parcel;
    CUdeviceptr d = 0, own = 0;
    char word = 'r';
    use_device(0);
    OK(cu.cuMemAlloc_v2(&own, LEGACY_BYTES));
    OK(cu.cuMemsetD8_v2(own, 9, LEGACY_BYTES));
    int file = take_descriptor(importer->peer, &parcel, sizeof parcel);
    if (importer->how == OPENS || importer->how == NOTHING_STAYS) OK(cu.cuIpcOpenMemHandle_v2(&d, parcel.legacy, 1));
    if (importer->how == NOTHING_STAYS) OK(cu.cuIpcCloseMemHandle(d));
    if (importer->how != OPENS) {
        CUmemGenericAllocationHandle handle = import_shared(file);
        CUdeviceptr va = importer->how == IMPORTS ? 0 : map_shared(handle);
        if (va) OK(cu.cuMemRelease(handle));
        if (importer->how == NOTHING_STAYS) OK(cu.cuMemUnmap(va, VIRTUAL_BYTES));
    }
    OK(close(file));
    EXPECT(write(importer->ready[1], &word, 1) == 1);
    EXPECT(read(importer->go[0], &word, 1) == 1);
    expect_byte(9, own);
}

/* Its restore answers so, and it comes back never: it is locked, and of no use to anybody. */
static void expect_restore(enum how how, CUresult answer) {
    struct importer importer = {.how = how};
    char word = 'g';
    int pid = start_sharer(&importer.peer);
    OK(pipe(importer.ready));
    OK(pipe(importer.go));
    int other = start_child(take_part, &importer);
    EXPECT(read(importer.ready[0], &word, 1) == 1);
    load_driver();
    OK(lock_within(other, 5000));
    OK(cu.cuCheckpointProcessCheckpoint(other, NULL));
    EXPECT_IS(answer, cu.cuCheckpointProcessRestore(other, NULL));
    if (answer) {
        EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuCheckpointProcessUnlock(other, NULL));
        EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(other));
        OK(kill(other, SIGKILL));
        EXPECT_IS(-SIGKILL, wait_child(other));
    } else {
        OK(cu.cuCheckpointProcessUnlock(other, NULL));
        EXPECT(write(importer.go[1], &word, 1) == 1);
        OK(wait_child(other));
    }
    expect_sharer_intact(importer.peer);
    end_sharer(importer.peer, pid);
}

static void whoHasOpenedItIsLost(void) { expect_restore(OPENS, CUDA_ERROR_INVALID_VALUE); }
static void whoHasMappedItIsLost(void) { expect_restore(MAPS, CUDA_ERROR_NOT_SUPPORTED); }
static void whoHasItsHandleIsLost(void) { expect_restore(IMPORTS, CUDA_ERROR_NOT_SUPPORTED); }
static void whoHasGivenItUpComesBack(void) { expect_restore(NOTHING_STAYS, CUDA_SUCCESS); }

int main(void) {
    RUN(legacyMemoryIsTheOthers);
    RUN(aDescriptorsMemoryIsTheOthers);
    RUN(anOwnLegacyHandleIsNotOpened);
    RUN(whoHasOnlyMadeItComesBack);
    RUN(whoHasOpenedItIsLost);
    RUN(whoHasMappedItIsLost);
    RUN(whoHasItsHandleIsLost);
    RUN(whoHasGivenItUpComesBack);
    return summary();
}
