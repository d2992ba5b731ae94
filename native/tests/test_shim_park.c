/* Memory that is parked comes back as it was, at the same addresses; meanwhile it is somebody else's. */
#include "parking.h"

static void anAllocationComesBackAsItWas(void) {
    CUdeviceptr a, b;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&a, 8 * MIB + 5));
    OK(cu.cuMemAlloc_v2(&b, 2 * MIB));
    write_pattern(a, 8 * MIB + 5, 1);
    write_pattern(b, 2 * MIB, 2);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(a, 8 * MIB + 5, 1);
    EXPECT_PATTERN(b, 2 * MIB, 2);
    OK(cu.cuMemFree_v2(a));
    OK(cu.cuMemFree_v2(b));
}

static void parkedMemoryIsFree(void) {
    CUdeviceptr a;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&a, 64 * MIB));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    size_t before = free_memory();
    COMMAND_OK("park");
    EXPECT(free_memory() >= before + 64 * MIB);
    EXPECT_IS(64 * MIB, status_of("parked_bytes"));
    EXPECT_IS(0, status_of("parkable_bytes"));
    COMMAND_OK("unpark");
    EXPECT_IS(before, free_memory());
    EXPECT_IS(0, status_of("parked_bytes"));
    EXPECT_IS(64 * MIB, status_of("parkable_bytes"));
    OK(cu.cuMemFree_v2(a));
    EXPECT_IS(0, status_of("parkable_bytes"));
}

static void nothingIsParkedTwice(void) {
    use_device(0);
    COMMAND_FAILS("running", "unpark");
    COMMAND_OK("park");
    COMMAND_FAILS("parked", "park");
    COMMAND_FAILS("parked", "prepare");
    COMMAND_FAILS("parked", "release");
    COMMAND_OK("unpark");
    COMMAND_FAILS("running", "unpark");
}

static void contextsMadeMeanwhileDoNotKeepItParked(void) {
    enum { TOO_MANY = 256 }; /* with the primary one */
    static CUcontext contexts[TOO_MANY];
    CUdeviceptr d;
    fresh_machine(1, "64G");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    COMMAND_OK("park");
    for (int i = 0; i < TOO_MANY; i++) {
        OK(cu.cuCtxCreate_v2(&contexts[i], 0, 0));
        OK(cu.cuCtxPopCurrent_v2(NULL));
    }
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 4 * MIB, 1);
    COMMAND_FAILS("off", "park");
    COMMAND_FAILS("off", "prepare");
}

int main(void) {
    RUN(anAllocationComesBackAsItWas);
    RUN(parkedMemoryIsFree);
    RUN(nothingIsParkedTwice);
    RUN_SIMULATED(contextsMadeMeanwhileDoNotKeepItParked, "so many contexts are much memory");
    return summary();
}
