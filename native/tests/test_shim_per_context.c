/* What CUDA keeps for each context, device or pool, the shim keeps so too, however late it comes to know of it. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "pools.h"

#include <pthread.h>

enum { BYTES = 8 * MIB };
static CUcontext first, second;
static CUdeviceptr memory;
static CUstream stream;

static void two_devices(void) {
    fresh_machine(2, "2G");
    setenv("TORPOR_SIM_DEVICES", "2", 1);
    second = use_device(1);
    first = use_device(0);
}

struct call { CUresult (*make)(void); CUcontext context; CUresult result; };

static void *make_call(void *argument) {
    struct call *c = argument;
    if (c->context) OK(cu.cuCtxSetCurrent(c->context));
    c->result = c->make();
    return NULL;
}

/* By a thread of its own, in a context or in none. */
static void in_thread(CUresult (*call)(void), CUcontext context, CUresult *result) {
    struct call c = {call, context, CUDA_ERROR_UNKNOWN};
    pthread_t thread;
    pthread_create(&thread, NULL, make_call, &c);
    pthread_join(thread, NULL);
    *result = c.result;
}

static CUresult freed_in_stream(void) { return cu.cuMemFreeAsync(memory, stream); }

/* The stream writes to the memory after the free was asked for. The next owner's work must come after that. */
static void free_behind_a_kernel(CUcontext context, CUresult expected) {
    CUresult result;
    CUdeviceptr keeping = 0, next = 0;
    char *mine = malloc(BYTES), *found = malloc(BYTES);
    stream = made_stream();
    OK(cu.cuMemAllocAsync(&keeping, 2 * MIB, stream)); /* its chunk stays */
    OK(cu.cuMemAllocAsync(&memory, BYTES, stream));
    OK(cu.cuStreamSynchronize(stream));
    stop_at(stream);
    OK(fill_words(memory, BYTES / 8, 42, stream));
    in_thread(freed_in_stream, context, &result);
    EXPECT_IS(expected, result);
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(stream)); /* it has not waited */
    CUstream other = made_stream();
    OK(cu.cuMemAllocAsync(&next, BYTES, other));
    memset(mine, 5, BYTES);
    OK(cu.cuMemcpyHtoDAsync_v2(next, mine, BYTES, other));
    OK(cu.cuStreamSynchronize(other));
    go_on = 1;
    OK(cu.cuStreamSynchronize(stream));
    driver_download(found, next, BYTES, other);
    EXPECT(!memcmp(mine, found, BYTES));
    free(mine);
    free(found);
}

static void aFreeWithAnotherContextCurrentIsInItsStreamsOrder(void) {
    two_devices();
    free_behind_a_kernel(second, CUDA_SUCCESS);
}

static void aFreeWithNoContextAnswersAsTheDriver(void) {
    two_devices();
    free_behind_a_kernel(NULL, CUDA_ERROR_INVALID_CONTEXT);
    OK(cu.cuMemFreeAsync(memory, stream)); /* it was not freed */
}

static void whatCannotBeMarkedIsNeitherWaitedForNorGivenOut(void) {
    setenv("TORPOR_SIM_FAULTS", "cuEventRecord=CUDA_ERROR_INVALID_HANDLE", 1);
    two_devices();
    free_behind_a_kernel(second, CUDA_SUCCESS);
    CUdeviceptr again = 0;
    for (int i = 0; i < 8 && again != memory; i++) OK(cu.cuMemAllocAsync(&again, BYTES, made_stream())); /* the stream is idle by now, and that can be asked */
    EXPECT(again == memory);
}

static void aStreamThatIsNoneIsNotFreedIn(void) {
    use_device(0);
    OK(cu.cuMemAllocAsync(&memory, BYTES, NULL));
    CUstream gone = made_stream();
    OK(cu.cuStreamDestroy_v2(gone));
    EXPECT(cu.cuMemFreeAsync(memory, gone) != CUDA_SUCCESS);
    OK(cu.cuMemFreeAsync(memory, NULL));
}

static void memoryFreedInAContextThatEndsIsFree(void) {
    CUcontext third = NULL;
    CUdeviceptr d = 0;
    two_devices();
    CUmemoryPool pool = keeping_pool();
    OK(cu.cuCtxCreate_v2(&third, 0, 0));
    CUstream s = made_stream();
    d = taken(BYTES, pool, s);
    OK(spin(s, 50));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuCtxDestroy_v2(third)); /* which waits for it */
    OK(cu.cuCtxSetCurrent(first));
    EXPECT(taken(BYTES, pool, made_stream()) == d);
}

/* --- pools of other devices --- */

static CUmemoryPool standard_pool(int device) {
    CUmemoryPool pool = NULL;
    OK(cu.cuDeviceGetDefaultMemPool(&pool, device));
    return pool;
}

static void allow_second(CUmemoryPool pool, CUmemAccess_flags flags) {
    CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 1}, flags};
    OK(cu.cuMemPoolSetAccess(pool, &access, 1));
}

static CUresult reached_by_second(CUdeviceptr at) {
    OK(cu.cuCtxSetCurrent(second));
    CUresult result = filled_at(at);
    cu.cuCtxSetCurrent(first);
    return result;
}

static CUdeviceptr from_standard_pool(void) {
    CUdeviceptr d = 0;
    OK(cu.cuMemAllocAsync(&d, BYTES, NULL));
    OK(cu.cuStreamSynchronize(NULL));
    return d;
}

static void whatIsGrantedBeforeTheFirstAllocationHolds(void) {
    two_devices();
    allow_second(standard_pool(0), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    CUdeviceptr d = from_standard_pool();
    OK(reached_by_second(d));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(reached_by_second(d));
}

static void whatIsGrantedLaterHoldsForWhatIsThere(void) {
    two_devices();
    CUdeviceptr d = from_standard_pool();
    allow_second(standard_pool(0), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    OK(reached_by_second(d));
}

static void aPoolThatMayBeReadAloneIsNotWrittenTo(void) {
    two_devices();
    CUmemoryPool pool = made_pool();
    allow_second(pool, CU_MEM_ACCESS_FLAGS_PROT_READ);
    CUdeviceptr d = taken(BYTES, pool, NULL);
    OK(cu.cuStreamSynchronize(NULL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, reached_by_second(d));
}

static void whatAPoolTakesBackIsTakenBack(void) {
    two_devices();
    CUdeviceptr d = from_standard_pool();
    allow_second(standard_pool(0), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    OK(reached_by_second(d));
    allow_second(standard_pool(0), CU_MEM_ACCESS_FLAGS_PROT_NONE);
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, reached_by_second(d));
}

static void aPoolThatIsToWaitUsesNothingBeforeSomebodyHasWaited(void) {
    int no = 0;
    use_device(0);
    CUmemoryPool pool = keeping_pool();
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &no));
    CUstream s = made_stream(), t = made_stream();
    CUdeviceptr d = taken(64 * MIB, pool, s);
    CUevent reached;
    OK(cu.cuEventCreate(&reached, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuMemFreeAsync(d, s));
    OK(cu.cuEventRecord(reached, s));
    while (cu.cuEventQuery(reached)) sleep_ms(1);
    EXPECT(taken(64 * MIB, pool, t) != d);
    OK(cu.cuStreamSynchronize(s));
    EXPECT(taken(64 * MIB, pool, t) == d);
}

/* --- peers --- */

static CUcontext on_second(int with_access) {
    CUcontext made = NULL;
    OK(cu.cuCtxCreate_v2(&made, 0, 1));
    if (with_access) OK(cu.cuCtxEnablePeerAccess(first, 0));
    return made;
}

static CUresult reached_in(CUcontext context) {
    OK(cu.cuCtxSetCurrent(context));
    CUresult result = filled_at(memory);
    OK(cu.cuCtxSetCurrent(first));
    return result;
}

static void accessThatOneContextGivesUpStaysTheOthers(void) {
    two_devices();
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    CUcontext a = on_second(1), b = on_second(1);
    OK(cu.cuCtxSetCurrent(a));
    OK(cu.cuCtxDisablePeerAccess(first));
    OK(reached_in(b));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(reached_in(b));
    OK(cu.cuCtxSetCurrent(b));
    OK(cu.cuCtxDisablePeerAccess(first));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, reached_in(b));
}

static void accessThatEndsWithOneContextStaysTheOthers(void) {
    two_devices();
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    CUcontext a = on_second(1), b = on_second(1);
    OK(cu.cuCtxDestroy_v2(a));
    OK(reached_in(b));
}

static void accessDoesNotOutliveItsContext(void) {
    two_devices();
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    CUcontext a = on_second(1);
    OK(cu.cuCtxDestroy_v2(a));
    CUcontext b = on_second(0);
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, reached_in(b));
}

static void accessIsToOneContextsMemory(void) {
    CUcontext third = NULL;
    two_devices();
    CUcontext a = on_second(1);
    OK(cu.cuCtxCreate_v2(&third, 0, 0));
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, reached_in(a));
}

/* --- copies --- */

static void largeCopiesReachOtherDevices(void) {
    CUdeviceptr there = 0;
    char *out = pattern_of(BYTES, 3), *in = calloc(1, BYTES);
    engine_at_once("2");
    two_devices();
    OK(cu.cuCtxSetCurrent(second));
    OK(cu.cuMemAlloc_v2(&there, BYTES));
    OK(cu.cuCtxSetCurrent(first));
    OK(cu.cuMemcpyHtoD_v2(there, out, BYTES));
    OK(cu.cuMemcpyDtoH_v2(in, there, BYTES));
    EXPECT(!memcmp(in, out, BYTES));
    EXPECT_IS(0, by_engine());
    free(out);
    free(in);
}

static void shapedCopiesReachOtherDevices(void) {
    CUdeviceptr there = 0;
    char *out = pattern_of(BYTES, 3), *in = calloc(1, BYTES);
    two_devices();
    OK(cu.cuCtxSetCurrent(second));
    OK(cu.cuMemAlloc_v2(&there, BYTES));
    OK(cu.cuCtxSetCurrent(first));
    CUDA_MEMCPY2D up = {.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = out, .srcPitch = MIB, .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = there, .dstPitch = MIB, .WidthInBytes = MIB, .Height = BYTES / MIB};
    CUDA_MEMCPY2D down = {.srcMemoryType = CU_MEMORYTYPE_UNIFIED, .srcDevice = there, .srcPitch = MIB, .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = in, .dstPitch = MIB, .WidthInBytes = MIB, .Height = BYTES / MIB};
    OK(cu.cuMemcpy2D_v2(&up));
    OK(cu.cuMemcpy2DAsync_v2(&down, NULL));
    OK(cu.cuCtxSynchronize());
    EXPECT(!memcmp(in, out, BYTES));
    free(out);
    free(in);
}

/* --- a stream of one device that waits holds up nobody on another --- */

static _Atomic int allocated_late;
static size_t too_much;

static CUresult allocate_too_much(void) {
    CUdeviceptr d;
    CUresult result = cu.cuMemAllocAsync(&d, too_much, made_stream());
    allocated_late = 1;
    return result;
}

static CUdeviceptr elsewhere;
static CUresult destroyed(void) { return cu.cuStreamDestroy_v2(stream); }
static CUresult freed(void) { return cu.cuMemFreeAsync(elsewhere, NULL); }
static CUresult allocated(void) { CUdeviceptr d; return cu.cuMemAllocAsync(&d, 4 * MIB, NULL); }
static CUresult asked(void) { CUmemoryPool pool = standard_pool(1); cuuint64_t value; return cu.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value); }

static void oneWaitsTheOtherGoesOn(CUresult (*other)(void)) {
    struct call waits = {allocate_too_much, NULL, CUDA_ERROR_UNKNOWN};
    CUdeviceptr d = 0;
    CUresult result;
    pthread_t thread;
    two_devices();
    OK(cu.cuCtxSetCurrent(second));
    stream = made_stream();
    OK(cu.cuMemAllocAsync(&elsewhere, 4 * MIB, NULL));
    OK(cu.cuStreamSynchronize(NULL));
    OK(cu.cuCtxSetCurrent(first));
    too_much = free_memory() * 6 / 10 / (2 * MIB) * (2 * MIB);
    CUstream s = made_stream();
    OK(cu.cuMemAllocAsync(&d, too_much, s));
    stop_at(s);
    OK(cu.cuMemFreeAsync(d, s));
    waits.context = first;
    pthread_create(&thread, NULL, make_call, &waits);
    sleep_ms(100);
    EXPECT(!allocated_late);
    in_thread(other, second, &result);
    OK(result);
    EXPECT(!allocated_late && !go_on);
    go_on = 1;
    pthread_join(thread, NULL);
    OK(waits.result);
}

static void aStreamIsDestroyedMeanwhile(void) { oneWaitsTheOtherGoesOn(destroyed); }
static void memoryIsFreedMeanwhile(void) { oneWaitsTheOtherGoesOn(freed); }
static void memoryIsAllocatedMeanwhile(void) { oneWaitsTheOtherGoesOn(allocated); }
static void aPoolIsAskedMeanwhile(void) { oneWaitsTheOtherGoesOn(asked); }

int main(void) {
    RUN_SIMULATED(aFreeWithAnotherContextCurrentIsInItsStreamsOrder, "two devices");
    RUN_SIMULATED(aFreeWithNoContextAnswersAsTheDriver, "two devices");
    RUN_SIMULATED(whatCannotBeMarkedIsNeitherWaitedForNorGivenOut, "a fault");
    RUN_SIMULATED(aStreamThatIsNoneIsNotFreedIn, "drivers may crash");
    RUN_SIMULATED(memoryFreedInAContextThatEndsIsFree, "two devices");
    RUN_SIMULATED(whatIsGrantedBeforeTheFirstAllocationHolds, "two devices");
    RUN_SIMULATED(whatIsGrantedLaterHoldsForWhatIsThere, "two devices");
    RUN_SIMULATED(aPoolThatMayBeReadAloneIsNotWrittenTo, "two devices");
    RUN_SIMULATED(whatAPoolTakesBackIsTakenBack, "two devices");
    RUN(aPoolThatIsToWaitUsesNothingBeforeSomebodyHasWaited);
    RUN_SIMULATED(accessThatOneContextGivesUpStaysTheOthers, "two devices");
    RUN_SIMULATED(accessThatEndsWithOneContextStaysTheOthers, "two devices");
    RUN_SIMULATED(accessDoesNotOutliveItsContext, "two devices");
    RUN_SIMULATED(accessIsToOneContextsMemory, "two devices");
    RUN_SIMULATED(largeCopiesReachOtherDevices, "two devices");
    RUN_SIMULATED(shapedCopiesReachOtherDevices, "two devices");
    RUN_SIMULATED(aStreamIsDestroyedMeanwhile, "two devices");
    RUN_SIMULATED(memoryIsFreedMeanwhile, "two devices");
    RUN_SIMULATED(memoryIsAllocatedMeanwhile, "two devices");
    RUN_SIMULATED(aPoolIsAskedMeanwhile, "two devices");
    return summary();
}
