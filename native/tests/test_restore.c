/* Only of the simulator: the buffer of a checkpointed process, and what a restore brings back. */
#include "harness.h"

enum { MB = 1 << 20 };

/* A preloaded library goes before the sanitizer's own, which it does not stand. */
static void theBufferIsTakenThroughLibc(void) {
    char preload[4096];
    if (getenv("TORPOR_SANITIZED")) return;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", output_path("tests/libinterposer.so"));
    const char *const environment[] = {preload, "TORPOR_TEST_NO_MEMORY=1", NULL};
    load_driver();
    struct target t = start_target(environment, "4M", NULL, NULL);
    OK(lock_within(t.pid, 1000));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
    OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

/* The resident KiB of the largest anonymous mapping that can be written. */
static long largest_resident(int pid) {
    char path[64], line[512], permissions[8];
    unsigned long inode = 1;
    long resident, largest = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        unsigned long ignored;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &ignored, &ignored, permissions, &ignored, &inode) == 5) continue;
        if (sscanf(line, "Rss: %ld kB", &resident) == 1 && !inode && !strcmp(permissions, "rw-p") && resident > largest) largest = resident;
    }
    if (file) fclose(file);
    return largest;
}

static void theBufferHoldsContextAndAllocations(void) {
    const char *const environment[] = {"TORPOR_SIM_CONTEXT=16M", NULL};
    if (getenv("TORPOR_SANITIZED")) return; /* their own memory is larger */
    load_driver();
    struct target t = start_target(environment, "40M", NULL, NULL);
    EXPECT(largest_resident(t.pid) < 40 * 1024);
    suspend(t.pid);
    EXPECT(largest_resident(t.pid) >= 56 * 1024 && largest_resident(t.pid) < 60 * 1024);
    resume(t.pid);
    EXPECT(largest_resident(t.pid) < 40 * 1024);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void everyCallThatUsesTheGpuWaitsWhileLocked(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT(answered_ok(&t, "alloc 1M"));
    expect_wait_while_locked(&t, "free");
    expect_wait_while_locked(&t, "sync");
    OK(finish(&t));
}

static void checkpoint(void *pid) { OK(cu.cuCheckpointProcessCheckpoint(*(int *)pid, NULL)); }

static void theStateIsToldAfterTheTransition(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessCheckpoint=slow:40", NULL};
    load_driver();
    struct target t = start_target(environment, "8M", NULL, NULL);
    OK(lock_within(t.pid, 1000));
    double begun = now_ms();
    int controller = start_child(checkpoint, &t.pid);
    CUprocessState state;
    while ((state = state_of(t.pid)) == CU_PROCESS_STATE_LOCKED) sleep_ms(1); /* it has not begun */
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state);
    EXPECT(now_ms() - begun >= 400); /* 16 MiB at 40 MB/s */
    OK(wait_child(controller));
    resume(t.pid);
    OK(finish(&t));
}

static void mappingsAndTheirAccessSurvive(void) {
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemAccessDesc both = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle a, b;
    CUdeviceptr va;
    char out[8];
    unsigned long long flags = 9;
    use_device(0);
    OK(cu.cuMemCreate(&a, 2 * MB, &prop, 0));
    OK(cu.cuMemCreate(&b, 2 * MB, &prop, 0));
    OK(cu.cuMemAddressReserve(&va, 4 * MB, 0, 0, 0));
    OK(cu.cuMemMap(va, 2 * MB, 0, a, 0));
    OK(cu.cuMemMap(va + 2 * MB, 2 * MB, 0, b, 0));
    OK(cu.cuMemSetAccess(va, 2 * MB, &both, 1));
    OK(cu.cuMemcpyHtoD_v2(va + 12345, "asleep?", 8));
    suspend(getpid());
    resume(getpid());
    OK(cu.cuMemcpyDtoH_v2(out, va + 12345, 8));
    EXPECT(!strcmp(out, "asleep?"));
    OK(cu.cuMemGetAccess(&flags, &both.location, va + 2 * MB));
    EXPECT_IS(0, flags);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(va + 2 * MB, 1, 1));
}

int main(void) {
    RUN(theBufferIsTakenThroughLibc);
    RUN(theBufferHoldsContextAndAllocations);
    RUN(everyCallThatUsesTheGpuWaitsWhileLocked);
    RUN(theStateIsToldAfterTheTransition);
    RUN(mappingsAndTheirAccessSurvive);
    return summary();
}
