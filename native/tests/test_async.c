/* Only of the simulator: what is asynchronous is visibly late, and device memory is out of the CPU's reach. */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>

enum { SIZE = 1 << 16 };

static CUdeviceptr set_up_with(const char *delay, char **pinned, CUstream *stream) {
    CUdeviceptr d;
    setenv("TORPOR_SIM_DELAY_US", delay, 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    OK(cu.cuMemHostAlloc((void **)pinned, SIZE, 0));
    OK(cu.cuStreamCreate(stream, CU_STREAM_NON_BLOCKING));
    return d;
}

static CUdeviceptr set_up(char **pinned, CUstream *stream) { return set_up_with("200000", pinned, stream); }
/* For what must be seen before it is over. */
static CUdeviceptr set_up_late(char **pinned, CUstream *stream) { return set_up_with("1500000", pinned, stream); }

/* Reads what a copy is about to write: the very race that a missing wait is. */
__attribute__((no_sanitize("thread"), noinline)) static char peek(const volatile char *byte) { return *byte; }

static void aMissingWaitShowsOldData(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up_late(&pinned, &s);
    memset(pinned, 'o', SIZE);
    OK(cu.cuMemsetD8_v2(d, 'n', SIZE));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemcpyDtoHAsync_v2(pinned, d, SIZE, s));
    EXPECT(peek(pinned) == 'o');
    OK(cu.cuStreamSynchronize(s));
    EXPECT(pinned[0] == 'n' && pinned[SIZE - 1] == 'n');
}

static void pinnedMemoryIsReadLate(void) {
    char *pinned, out[4];
    CUstream s;
    CUdeviceptr d = set_up_late(&pinned, &s);
    memset(pinned, 'a', SIZE);
    OK(cu.cuMemcpyHtoDAsync_v2(d, pinned, SIZE, s));
    OK(cu.cuMemcpyDtoH_v2(out, d, 4)); /* the NULL stream does not wait for this one */
    EXPECT(out[0] == 0);
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemcpyDtoH_v2(out, d, 4));
    EXPECT(out[0] == 'a');
}

static void aSmallUploadReturnsBeforeItArrives(void) {
    char *pinned, *memory = calloc(1, SIZE), out[4];
    CUstream s;
    CUdeviceptr d = set_up_late(&pinned, &s);
    memset(memory, 'u', SIZE);
    OK(cu.cuMemcpyHtoD_v2(d, memory, SIZE));
    memset(memory, 'x', SIZE); /* it was read */
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, 4, s));
    EXPECT(out[0] == 0);
    OK(cu.cuMemcpyDtoH_v2(out, d, 4));
    EXPECT(out[0] == 'u');
    free(memory);
}

static void aLargeUploadHasArrivedWhenItReturns(void) {
    char *pinned, *memory = calloc(1, 2 * SIZE), out[4];
    CUstream s;
    CUdeviceptr d = set_up(&pinned, &s);
    OK(cu.cuMemFree_v2(d));
    OK(cu.cuMemAlloc_v2(&d, 2 * SIZE));
    memset(memory, 'u', 2 * SIZE);
    OK(cu.cuMemcpyHtoD_v2(d, memory, 2 * SIZE));
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, 4, s));
    EXPECT(out[0] == 'u');
    free(memory);
}

static void aStreamThatDoesNotWaitReadsTooEarly(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up_late(&pinned, &s);
    OK(cu.cuMemsetD8_v2(d, 'n', SIZE));
    OK(cu.cuMemsetD8_v2(d, 'm', SIZE));
    OK(cu.cuMemcpyDtoHAsync_v2(pinned, d, SIZE, s));
    OK(cu.cuStreamSynchronize(s));
    EXPECT(pinned[SIZE - 1] != 'm');
    OK(cu.cuCtxSynchronize());
}

static void freeWaitsForWorkThatUsesTheMemory(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up(&pinned, &s);
    OK(cu.cuMemsetD8_v2(d, 'n', SIZE));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemcpyDtoHAsync_v2(pinned, d, SIZE, s));
    OK(cu.cuMemFree_v2(d));
    EXPECT(pinned[0] == 'n');
}

static void touch(void *address) {
    signal(SIGSEGV, SIG_DFL);
    printf("%d\n", *(volatile char *)address);
}

static void theCpuCannotTouchDeviceMemory(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up(&pinned, &s);
    EXPECT(wait_child(start_child(touch, (void *)(uintptr_t)d)) == -SIGSEGV);
}

static void unmappingUnderAKernelIsAnError(void) {
    CUdeviceptr va;
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemAccessDesc access_all = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    char *pinned;
    CUstream s;
    set_up_late(&pinned, &s);
    OK(cu.cuMemCreate(&handle, 2 << 20, &prop, 0));
    OK(cu.cuMemAddressReserve(&va, 2 << 20, 0, 0, 0));
    OK(cu.cuMemMap(va, 2 << 20, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, 2 << 20, &access_all, 1));
    OK(cu.cuMemcpyHtoDAsync_v2(va, pinned, SIZE, s));
    OK(cu.cuMemUnmap(va, 2 << 20));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(s));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuCtxSynchronize());
}

static void aStreamDestroyedInItsCaptureLeavesNothing(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up(&pinned, &s);
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cu.cuMemsetD8Async(d, 'n', SIZE, s));
    OK(cu.cuStreamDestroy_v2(s));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemFree_v2(d));
}

static void aDestroyedGraphIsNoGraph(void) {
    char *pinned;
    CUstream s;
    CUgraph graph;
    CUgraphExec made;
    set_up(&pinned, &s);
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGraphDestroy(graph));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGraphInstantiateWithFlags(&made, graph, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGraphLaunch((CUgraphExec)graph, s));
}

static void aCaptureOverlooksWhatOtherContextsDo(void) {
    char *pinned;
    CUstream s;
    CUgraph graph;
    CUcontext other;
    set_up(&pinned, &s);
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuCtxDestroy_v2(other));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
}

static void callInside(void *result) { *(int *)result = (int)cu.cuCtxSynchronize(); }

static void hostFunctionsMayNotCallTheDriver(void) {
    char *pinned;
    CUstream s;
    int result = -1;
    set_up(&pinned, &s);
    OK(cu.cuLaunchHostFunc(s, callInside, &result));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CUDA_ERROR_NOT_PERMITTED, result);
}

static void useAfterFork(void *unused) {
    int number;
    (void)unused;
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuInit(0));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuDeviceGetCount(&number));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCtxSynchronize());
}

static void aForkedChildHasNoDriver(void) {
    char *pinned;
    CUstream s;
    CUdeviceptr d = set_up(&pinned, &s);
    OK(cu.cuMemcpyHtoDAsync_v2(d, pinned, SIZE, s));
    OK(cu.cuStreamSynchronize(s)); /* a sanitizer cannot stand a fork while threads start */
    OK(cu.cuStreamSynchronize(NULL));
    OK(wait_child(start_child(useAfterFork, NULL)));
    OK(cu.cuCtxSynchronize());
}

int main(void) {
    RUN(aMissingWaitShowsOldData);
    RUN(pinnedMemoryIsReadLate);
    RUN(aSmallUploadReturnsBeforeItArrives);
    RUN(aLargeUploadHasArrivedWhenItReturns);
    RUN(aStreamThatDoesNotWaitReadsTooEarly);
    RUN(freeWaitsForWorkThatUsesTheMemory);
    RUN(theCpuCannotTouchDeviceMemory);
    RUN(unmappingUnderAKernelIsAnError);
    RUN(aStreamDestroyedInItsCaptureLeavesNothing);
    RUN(aDestroyedGraphIsNoGraph);
    RUN(aCaptureOverlooksWhatOtherContextsDo);
    RUN(hostFunctionsMayNotCallTheDriver);
    RUN(aForkedChildHasNoDriver);
    return summary();
}
