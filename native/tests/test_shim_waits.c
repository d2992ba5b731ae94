/* What the shim asks of the driver for its own sake never waits for the GPU. Each call here is made while a stream is busy until after it. */
#include "parking.h"
#include "launch.h"
#include "threads.h"

enum { BYTES = 8 * MIB };

static CUstream busy(void) {
    use_device(0);
    CUstream s = made_stream();
    stop_at(s);
    return s;
}

static void expect_busy(CUstream s) {
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(s));
    go_on = 1;
    OK(cu.cuCtxSynchronize());
}

static void anAllocationWithAPitchWaitsForNothing(void) {
    CUdeviceptr d = 0;
    size_t pitch = 0, same = 0;
    CUstream s = busy();
    for (size_t width = 4000; width < 4100; width += 4) OK(cu.cuMemAllocPitch_v2(&d, &pitch, width, 1024, 4));
    EXPECT(pitch >= 4096);
    OK(cu.cuMemAllocPitch_v2(&d, &same, 4096, 1024, 4));
    expect_busy(s);
    EXPECT_IS(pitch, same);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

/* What was asked for is given back when the GPU is idle, and with the context. */
static void questionsForAPitchCostNothingForLong(void) {
    CUdeviceptr d = 0;
    CUcontext other = NULL;
    size_t pitch;
    use_device(0);
    settled_memory();
    OK(cu.cuMemAllocPitch_v2(&d, &pitch, 5000, 1024, 4));
    OK(cu.cuMemFree_v2(d));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    size_t before = free_memory();
    OK(cu.cuMemAllocPitch_v2(&d, &pitch, 5000, 1024, 4)); /* known */
    OK(cu.cuMemFree_v2(d));
    EXPECT_IS(before, free_memory());
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    OK(cu.cuMemAllocPitch_v2(&d, &pitch, 5008, 1024, 4));
    OK(cu.cuCtxDestroy_v2(other));
    use_device(0);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_IS(before, free_memory());
}

static void anAllocationDuringACaptureWaitsForNothing(void) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUdeviceptr d = 0;
    CUgraph graph;
    CUstream s = busy(), captured = made_stream();
    OK(cu.cuStreamBeginCapture_v2(captured, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuMemAlloc_v2(&d, BYTES));
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
    OK(cu.cuMemAlloc_v2(&d, BYTES));
    OK(cu.cuMemAllocAsync(&d, BYTES, made_stream()));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(s));
    OK(cu.cuStreamEndCapture(captured, &graph));
    expect_busy(s);
}

static void aCaptureForbidsAllocationsAsBefore(void) {
    CUdeviceptr d = 0;
    CUgraph graph;
    use_device(0);
    CUstream captured = made_stream();
    OK(cu.cuStreamBeginCapture_v2(captured, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuMemAlloc_v2(&d, BYTES));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(captured, &graph));
}

/* Pinned memory is freed when the GPU has done everything, in whatever stream. */
static void theEnginesBuffersAreNotGivenUpWhileTheGpuIsBusy(void) {
    setenv("TORPOR_COPY_IDLE_MS", "20", 1);
    engine_takes_most("2");
    CUcontext context = use_device(0), other = NULL;
    copy_bytes(BYTES, 1);
    CUstream s = made_stream();
    stop_at(s);
    sleep_ms(200); /* ten times as long as they may be idle */
    CUdeviceptr d = 0;
    char *out = pattern_of(BYTES, 2);
    OK(cu.cuMemAllocAsync(&d, BYTES, made_stream()));
    OK(cu.cuMemcpyHtoD_v2(d, out, BYTES)); /* not behind a thread that waits for the GPU */
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(s));
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(0, shim_threads_become(0)); /* now they are */
    copy_bytes(BYTES, 3);
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    copy_bytes(BYTES, 4);
    OK(cu.cuCtxDestroy_v2(other)); /* perhaps while they are given up */
    OK(cu.cuCtxSetCurrent(context));
    free(out);
}

int main(void) {
    RUN(anAllocationWithAPitchWaitsForNothing);
    RUN(questionsForAPitchCostNothingForLong);
    RUN(anAllocationDuringACaptureWaitsForNothing);
    RUN(aCaptureForbidsAllocationsAsBefore);
    RUN_SIMULATED(theEnginesBuffersAreNotGivenUpWhileTheGpuIsBusy, "a real driver may wait for a host function itself");
    return summary();
}
