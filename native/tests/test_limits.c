/* Limits of contexts, and what they cost. */
#include "harness.h"
#include "outcome.h"

enum { MB = 1 << 20 };

static size_t limit_of(CUlimit limit) {
    size_t value = 0;
    OK(cu.cuCtxGetLimit(&value, limit));
    return value;
}

static size_t free_memory(void) {
    size_t available = 0, total;
    OK(cu.cuMemGetInfo_v2(&available, &total));
    return available;
}

static void limitsAnswerTheirCodes(void) {
    size_t value;
    load_driver();
    OK(cu.cuInit(0));
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    use_device(0);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE));
    EXPECT(cu.cuCtxGetLimit(&value, (CUlimit)99) != CUDA_SUCCESS);
    EXPECT(cu.cuCtxSetLimit((CUlimit)99, 1) != CUDA_SUCCESS);
}

static void limitsAreKeptByTheContext(void) {
    CUcontext made;
    use_device(0);
    EXPECT_IS(1024, limit_of(CU_LIMIT_STACK_SIZE));
    EXPECT(limit_of(CU_LIMIT_PRINTF_FIFO_SIZE) > 0 && limit_of(CU_LIMIT_MALLOC_HEAP_SIZE) > 0);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048));
    OK(cu.cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 2 * MB));
    OK(cu.cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 16 * MB));
    EXPECT_IS(2048, limit_of(CU_LIMIT_STACK_SIZE));
    EXPECT(limit_of(CU_LIMIT_PRINTF_FIFO_SIZE) >= 2 * MB && limit_of(CU_LIMIT_MALLOC_HEAP_SIZE) >= 16 * MB);
    OK(cu.cuCtxCreate_v4(&made, NULL, 0, 0));
    EXPECT_IS(1024, limit_of(CU_LIMIT_STACK_SIZE));
    OK(cu.cuCtxDestroy_v2(made));
    EXPECT_IS(2048, limit_of(CU_LIMIT_STACK_SIZE));
}

static void stacksAreOfSixteens(void) {
    use_device(0);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1));
    EXPECT_IS(16, limit_of(CU_LIMIT_STACK_SIZE));
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1025));
    EXPECT_IS(1040, limit_of(CU_LIMIT_STACK_SIZE));
    EXPECT(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1ULL << 40) != CUDA_SUCCESS);
    EXPECT_IS(1040, limit_of(CU_LIMIT_STACK_SIZE));
}

static void aSmallerStackFreesMemory(void) {
    use_device(0);
    size_t first = free_memory();
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 16));
    size_t small = free_memory();
    EXPECT(small > first);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    EXPECT(free_memory() < first);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 16));
    EXPECT_IS(small, free_memory());
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024));
    EXPECT_IS(first, free_memory());
}

static void theNewestFormOfANameIsHandedOut(void) {
    void *pointer = NULL;
    CUdriverProcAddressQueryResult status;
    load_driver();
    OK(cu.cuInit(0));
    OK(cu.cuGetProcAddress_v2("cuCtxCreate", &pointer, 13000, 0, &status));
    EXPECT(pointer == (void *)cu.cuCtxCreate_v4);
    OK(cu.cuGetProcAddress_v2("cuCtxCreate", &pointer, 4000, 0, &status));
    EXPECT(pointer == (void *)cu.cuCtxCreate_v2);
}

/* Of the simulator alone from here on. */

static void halfOfAContextIsItsStacks(void) {
    size_t whole, without;
    if (skipped(real_driver(), "they are of their own size there")) return;
    fresh_machine(1, "256M");
    setenv("TORPOR_SIM_CONTEXT", "64M", 1);
    use_device(0);
    whole = 256 * MB - free_memory();
    EXPECT_IS(64 * MB, whole);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 0));
    without = 256 * MB - free_memory();
    EXPECT_IS(32 * MB, without);
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 16));
    EXPECT_IS(32 * MB + MB / 2, 256 * MB - free_memory());
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 8192));
    EXPECT_IS(16, limit_of(CU_LIMIT_STACK_SIZE));
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048));
    EXPECT_IS(96 * MB, 256 * MB - free_memory());
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    use_device(0);
    EXPECT_IS(64 * MB, 256 * MB - free_memory());
}

static long resident_kib(void) {
    char line[256];
    long resident = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %ld kB", &resident);
    if (file) fclose(file);
    return resident;
}

static void theCheckpointFollowsTheStacks(void) {
    long grown[2];
    if (skipped(real_driver(), "a process that suspends itself has no driver then")) return;
    if (skipped(getenv("TORPOR_SANITIZED") != NULL, "their own memory is larger")) return;
    fresh_machine(1, "256M");
    setenv("TORPOR_SIM_CONTEXT", "64M", 1);
    use_device(0);
    for (int small = 0; small < 2; small++) {
        OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, small ? 0 : 1024));
        long before = resident_kib();
        suspend(getpid());
        grown[small] = resident_kib() - before;
        resume(getpid());
    }
    EXPECT(grown[0] > 60 * 1024 && grown[0] < 70 * 1024);
    EXPECT(grown[1] > 28 * 1024 && grown[1] < 38 * 1024);
}

int main(void) {
    RUN(limitsAnswerTheirCodes);
    RUN(limitsAreKeptByTheContext);
    RUN(stacksAreOfSixteens);
    RUN(aSmallerStackFreesMemory);
    RUN(theNewestFormOfANameIsHandedOut);
    RUN(halfOfAContextIsItsStacks);
    RUN(theCheckpointFollowsTheStacks);
    return summary();
}
