/* Only of the simulator: machines of other sizes, and restoring onto other devices. */
#include "harness.h"

static CUresult restore_with(int pid, const CUcheckpointGpuPair *pairs, unsigned count) {
    CUcheckpointRestoreArgs args;
    memset(&args, 0, sizeof args);
    args.gpuPairs = (CUcheckpointGpuPair *)(uintptr_t)pairs;
    args.gpuPairsCount = count;
    return cu.cuCheckpointProcessRestore(pid, &args);
}

static size_t free_on(int device) {
    size_t available = 0, total;
    use_device(device);
    OK(cu.cuMemGetInfo_v2(&available, &total));
    return available;
}

static void find_swap(CUcheckpointGpuPair *swap) {
    OK(cu.cuInit(0));
    for (int d = 0; d < 2; d++) {
        OK(cu.cuDeviceGetUuid_v2(&swap[d].oldUuid, d));
        OK(cu.cuDeviceGetUuid_v2(&swap[d].newUuid, 1 - d));
    }
}

static void wrongPairsLeaveTheProcessCheckpointed(void) {
    CUcheckpointGpuPair swap[2], wrong[2];
    fresh_machine(2, "256M");
    load_driver();
    struct target t = start_target(NULL, "8M", NULL, NULL);
    find_swap(swap);
    suspend(t.pid);
    memcpy(wrong, swap, sizeof wrong);
    wrong[0].newUuid.bytes[3] ^= 1;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, restore_with(t.pid, wrong, 2));
    memcpy(wrong, swap, sizeof wrong);
    wrong[1] = wrong[0];
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, restore_with(t.pid, wrong, 2));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, restore_with(t.pid, swap, 1));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, restore_with(t.pid, NULL, 1));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void swappedPairsMoveTheMemory(void) {
    CUcheckpointGpuPair swap[2];
    fresh_machine(2, "256M");
    load_driver();
    struct target t = start_target(NULL, "100M", NULL, NULL);
    find_swap(swap);
    for (int on = 1; on >= 0; on--) { /* there, and back */
        suspend(t.pid);
        OK(restore_with(t.pid, swap, 2));
        OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
        EXPECT(answered_ok(&t, "check"));
        EXPECT(free_on(on) < 160u << 20 && free_on(1 - on) > 200u << 20);
        EXPECT(answered_ok(&t, "alloc 100M"));
        EXPECT(free_on(on) < 60u << 20 && free_on(1 - on) > 200u << 20);
        EXPECT(answered_ok(&t, "free"));
    }
    OK(finish(&t));
}

static void oneProcessUsesTwoDevices(void) {
    CUcheckpointGpuPair swap[2];
    CUcontext context[2];
    CUdeviceptr memory[2];
    char out[2][4] = {"", ""};
    fresh_machine(2, "256M");
    load_driver();
    find_swap(swap);
    for (int d = 0; d < 2; d++) {
        context[d] = use_device(d);
        OK(cu.cuMemAlloc_v2(&memory[d], 4 << 20));
        OK(cu.cuMemcpyHtoD_v2(memory[d], d ? "one" : "two", 4));
    }
    suspend(getpid());
    OK(restore_with(getpid(), swap, 2));
    OK(cu.cuCheckpointProcessUnlock(getpid(), NULL));
    for (int d = 0; d < 2; d++) {
        OK(cu.cuCtxSetCurrent(context[d]));
        OK(cu.cuMemcpyDtoH_v2(out[d], memory[d], 4));
        EXPECT(!strcmp(out[d], d ? "one" : "two"));
    }
}

static void aRestoreWithoutMemoryIsFinal(void) {
    fresh_machine(1, "64M");
    load_driver();
    struct target t = start_target(NULL, "30M", NULL, NULL);
    suspend(t.pid);
    struct target other = start_target(NULL, "40M", NULL, NULL);
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    OK(finish(&other));
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    OK(finish(&t));
}

static void aMachineMayHaveNoDevice(void) {
    fresh_machine(0, "64M");
    load_driver();
    EXPECT_IS(CUDA_ERROR_NO_DEVICE, cu.cuInit(0));
}

static void ask_for_three(void *expected) {
    setenv("TORPOR_SIM_DEVICES", "3", 1);
    load_driver();
    EXPECT_IS(*(int *)expected, cu.cuInit(0));
}

static void aMachineInUseKeepsItsSize(void) {
    int refused = CUDA_ERROR_SYSTEM_NOT_READY, taken = CUDA_SUCCESS;
    fresh_machine(2, "64M");
    struct target t = start_target(NULL, "2M", NULL, NULL);
    OK(wait_child(start_child(ask_for_three, &refused)));
    OK(finish(&t));
    OK(wait_child(start_child(ask_for_three, &taken)));
}

int main(void) {
    RUN(wrongPairsLeaveTheProcessCheckpointed);
    RUN(swappedPairsMoveTheMemory);
    RUN(oneProcessUsesTwoDevices);
    RUN(aRestoreWithoutMemoryIsFinal);
    RUN(aMachineMayHaveNoDevice);
    RUN(aMachineInUseKeepsItsSize);
    return summary();
}
