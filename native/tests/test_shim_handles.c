/* A handle that the driver gives again at once, while the thread that destroyed its first owner is still in that call. */
#include "parking.h"
#include "outcome.h"
#include "pools.h"

#include <pthread.h>

static CUcontext primary, context;
static CUmemoryPool pool;
static CUdeviceptr memory;

/* What is destroyed is gone, and whoever destroyed it learns of it much later. */
static void slow_end(const char *name) {
    static char faults[100];
    snprintf(faults, sizeof faults, "%s=after,delay:400", name);
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    primary = use_device(0);
}

static pthread_t started(void *(*work)(void *)) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    return thread;
}

static void use_context(void) {
    OK(cu.cuMemAlloc_v2(&memory, 4 * MIB));
    write_pattern(memory, 4 * MIB, 1);
}

/* The context is known, and what it has is known once. */
static void expect_parkable(void) {
    EXPECT_IS(4 * MIB, status_of("parkable_bytes"));
    COMMAND_OK("park");
    EXPECT_IS(4 * MIB, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, 4 * MIB, 1);
    OK(cu.cuMemFree_v2(memory));
}

static void *create_context(void *before) {
    sleep_ms(100);
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    use_context();
    return before;
}

static void aContextWithTheHandleOfOneThatEndsIsKnown(void) {
    CUcontext before;
    CUdeviceptr its;
    slow_end("cuCtxDestroy_v2");
    OK(cu.cuCtxCreate_v2(&before, 0, 0));
    OK(cu.cuMemAlloc_v2(&its, 8 * MIB));
    pthread_t thread = started(create_context);
    OK(cu.cuCtxDestroy_v2(before));
    pthread_join(thread, NULL);
    EXPECT(context == before);
    OK(cu.cuCtxSetCurrent(context));
    expect_parkable();
}

static void *retain_primary(void *unused) {
    sleep_ms(100);
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    OK(cu.cuCtxSetCurrent(context));
    use_context();
    return unused;
}

static void aPrimaryContextThatIsRetainedWhileItEndsIsANewOne(void) {
    CUdeviceptr its;
    slow_end("cuDevicePrimaryCtxRelease_v2");
    OK(cu.cuMemAlloc_v2(&its, 8 * MIB));
    pthread_t thread = started(retain_primary);
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    pthread_join(thread, NULL);
    EXPECT(context == primary);
    expect_parkable();
}

static void *create_pool(void *unused) {
    OK(cu.cuCtxSetCurrent(primary));
    sleep_ms(100);
    pool = keeping_pool();
    memory = taken(4 * MIB, pool, CU_STREAM_LEGACY);
    return unused;
}

static void aPoolWithTheHandleOfOneThatEndsIsServed(void) {
    slow_end("cuMemPoolDestroy");
    CUmemoryPool before = keeping_pool();
    pthread_t thread = started(create_pool);
    OK(cu.cuMemPoolDestroy(before));
    pthread_join(thread, NULL);
    EXPECT(pool == before);
    EXPECT_IS(4 * MIB, used(pool));
    OK(cu.cuMemFreeAsync(memory, CU_STREAM_LEGACY));
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(64 * MIB, reserved(pool)); /* a chunk of the shim's */
}

static void whatIsNotDestroyedStaysKnown(void) {
    CUmemoryPool standard;
    primary = use_device(0);
    use_context();
    OK(cu.cuDeviceGetDefaultMemPool(&standard, 0));
    CUdeviceptr its = taken(4 * MIB, standard, CU_STREAM_LEGACY);
    EXPECT_IS(CUDA_ERROR_INVALID_CONTEXT, cu.cuCtxDestroy_v2(primary));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemPoolDestroy(standard));
    EXPECT_IS(4 * MIB, used(standard));
    OK(cu.cuMemFreeAsync(its, CU_STREAM_LEGACY));
    OK(cu.cuCtxSynchronize());
    expect_parkable();
}

int main(void) {
    RUN_SIMULATED(aContextWithTheHandleOfOneThatEndsIsKnown, "faults are the simulator's");
    RUN_SIMULATED(aPrimaryContextThatIsRetainedWhileItEndsIsANewOne, "faults are the simulator's");
    RUN_SIMULATED(aPoolWithTheHandleOfOneThatEndsIsServed, "faults are the simulator's");
    RUN(whatIsNotDestroyedStaysKnown);
    return summary();
}
