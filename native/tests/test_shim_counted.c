/* What the program is told of memory holds: what is called free can be had, and what cannot be parked is counted. */
#include "parking.h"
#include "launch.h"
#include "virtual.h"

#include <sys/wait.h>

enum { KEPT = 100 * MIB };

/* --- free memory --- */

/* The shim keeps what was freed last, and calls it free. Nothing else is left. */
static void take_all_but_what_is_kept(void) {
    CUdeviceptr d;
    fresh_machine(1, "1G");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, KEPT));
    for (size_t left = free_memory(); left >= 2 * MIB; left = free_memory()) made(left / (2 * MIB) * (2 * MIB));
    OK(cu.cuMemFree_v2(d));
    EXPECT(free_memory() >= KEPT);
}

static CUresult created(void) { handle_t h; CUmemAllocationProp prop = prop_on(0); return cu.cuMemCreate(&h, KEPT, &prop, 0); }
static CUresult allocated_small(void) { CUdeviceptr d; return cu.cuMemAlloc_v2(&d, MIB); }
static CUresult allocated_small_in_stream(void) { CUdeviceptr d; return cu.cuMemAllocAsync(&d, MIB, NULL); }
static CUresult allocated_small_with_a_pitch(void) { CUdeviceptr d; size_t pitch; return cu.cuMemAllocPitch_v2(&d, &pitch, 1000, 1000, 4); }
static CUresult allocated_another_size(void) { CUdeviceptr d; return cu.cuMemAlloc_v2(&d, KEPT / 2); }
static CUresult context_made(void) { CUcontext c; return cu.cuCtxCreate_v2(&c, 0, 0); }
static CUresult stack_grown(void) { return cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096); }

static void everythingThatTakesMemoryHasIt(void) {
    CUresult (*const calls[])(void) = {created, allocated_small, allocated_small_in_stream, allocated_small_with_a_pitch, allocated_another_size, context_made, stack_grown};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int child = fork();
        if (!child) {
            take_all_but_what_is_kept();
            CUresult result = calls[i]();
            if (result) printf("    call %zu answers %d\n", i, (int)result);
            fflush(stdout);
            _exit(result != CUDA_SUCCESS);
        }
        EXPECT_IS(0, wait_child(child));
    }
}

static void aModuleAndAStreamHaveIt(void) {
    CUstream s;
    CUmodule module;
    setenv("TORPOR_SIM_FAULTS", "cuStreamCreate#1=2;cuModuleLoadData#1=2;cuLaunchKernel#1=2", 1);
    use_device(0);
    CUdeviceptr d;
    for (int i = 0; i < 3; i++) {
        OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
        OK(cu.cuMemFree_v2(d)); /* kept, and so there is something to give up */
        if (i == 0) OK(cu.cuStreamCreate(&s, 0));
        if (i == 1) OK(cu.cuModuleLoadData(&module, kernels_ptx));
        if (i == 2) OK(spin(s, 0));
    }
}

/* --- what is left --- */

static void whatTheDriverAllocatedIsCounted(void) {
    CUdeviceptr small[50], managed = 0, async = 0;
    CUcontext other = NULL;
    use_device(0);
    EXPECT_IS(0, status_of("left_bytes"));
    for (int i = 0; i < 50; i++) OK(cu.cuMemAlloc_v2(&small[i], MIB + (size_t)i));
    EXPECT_IS(50 * MIB + 49 * 50 / 2, status_of("left_bytes"));
    OK(cu.cuMemAllocManaged(&managed, 8 * MIB, CU_MEM_ATTACH_GLOBAL));
    OK(cu.cuMemAllocAsync(&async, MIB, NULL));
    EXPECT_IS(59 * MIB + 49 * 50 / 2, number_of(command("park"), "left_bytes"));
    COMMAND_OK("unpark");
    for (int i = 0; i < 50; i += 2) OK(cu.cuMemFree_v2(small[i]));
    for (int i = 1; i < 50; i += 2) OK(cu.cuMemFree_v2(small[i]));
    OK(cu.cuMemFree_v2(managed));
    OK(cu.cuMemFreeAsync(async, NULL));
    EXPECT_IS(0, status_of("left_bytes"));
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    for (int i = 0; i < 50; i++) OK(cu.cuMemAlloc_v2(&small[i], 1000));
    EXPECT_IS(50000, status_of("left_bytes"));
    OK(cu.cuCtxDestroy_v2(other));
    EXPECT_IS(0, status_of("left_bytes"));
}

static void aFreeThatFailsChangesNothing(void) {
    CUdeviceptr small;
    setenv("TORPOR_SIM_FAULTS", "cuMemFree_v2#1=999", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&small, 1000));
    EXPECT_IS(999, cu.cuMemFree_v2(small));
    EXPECT_IS(1000, status_of("left_bytes"));
    OK(cu.cuMemFree_v2(small));
    EXPECT_IS(0, status_of("left_bytes"));
}

/* --- what a child of fork pays --- */

/* KiB of the shim's own memory that a process has for itself. */
static long private_dirty(void) {
    char line[512];
    long sum = 0, value;
    int of_shim = 0;
    unsigned long start, end, last = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && strchr(line, '-') < strchr(line, ' ')) {
            of_shim = strstr(line, "libtorpor.so") || (of_shim && start == last && !strchr(line, '/')); /* and what follows it, which was zero */
            last = end;
        }
        if (of_shim && sscanf(line, "Private_Dirty: %ld kB", &value) == 1) sum += value;
    }
    if (file) fclose(file);
    return sum;
}

static void aChildTouchesLittle(void) {
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    int child = fork();
    if (!child) {
        long dirty = private_dirty();
        if (dirty > 128) printf("    %ld KiB\n", dirty);
        fflush(stdout);
        _exit(dirty > 128);
    }
    EXPECT_IS(0, wait_child(child));
}

int main(void) {
    RUN_SIMULATED(everythingThatTakesMemoryHasIt, "it fills the device");
    RUN_SIMULATED(aModuleAndAStreamHaveIt, "a fault");
    RUN(whatTheDriverAllocatedIsCounted);
    RUN_SIMULATED(aFreeThatFailsChangesNothing, "a fault");
    RUN_IF(!sanitized(), aChildTouchesLittle, "sanitizers touch much");
    return summary();
}
