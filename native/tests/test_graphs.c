#include "harness.h"
#include "virtual.h"

#include <pthread.h>

enum { SIZE = 4096 };

static CUstream capturing(unsigned flags, CUstreamCaptureMode mode) {
    CUstream s;
    OK(cu.cuStreamCreate(&s, flags));
    OK(cu.cuStreamBeginCapture_v2(s, mode));
    return s;
}

static CUgraphExec executable(CUstream captured) {
    CUgraph graph = NULL;
    CUgraphExec made = NULL;
    OK(cu.cuStreamEndCapture(captured, &graph));
    EXPECT(graph);
    OK(cu.cuGraphInstantiateWithFlags(&made, graph, 0));
    OK(cu.cuGraphDestroy(graph)); /* what was made of it stays */
    return made;
}

static void run_in(CUgraphExec graph, CUstream s) {
    OK(cu.cuGraphLaunch(graph, s));
    OK(cu.cuStreamSynchronize(s));
}

static CUstreamCaptureStatus status_of(CUstream s) {
    CUstreamCaptureStatus status = (CUstreamCaptureStatus)-1;
    OK(cu.cuStreamIsCapturing(s, &status));
    return status;
}

static void expect_invalid(CUstream s) {
    CUgraph graph = (CUgraph)&graph;
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_INVALIDATED, status_of(s));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(s, &graph));
    EXPECT(!graph);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(s));
    OK(cu.cuStreamSynchronize(s));
}

static void append(void *text) { strcat(text, "h"); }

static void aCaptureRecordsAndDoesNothing(void) {
    CUdeviceptr d;
    char out[SIZE] = "untouched", calls[8] = "";
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    OK(cu.cuMemsetD8Async(d, 'g', SIZE, s));
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, SIZE, s));
    OK(cu.cuLaunchHostFunc(s, append, calls));
    CUgraphExec graph = executable(s);
    OK(cu.cuStreamSynchronize(s));
    EXPECT(!strcmp(out, "untouched") && !*calls);
    run_in(graph, s);
    EXPECT(out[0] == 'g' && out[SIZE - 1] == 'g' && !strcmp(calls, "h"));
    OK(cu.cuGraphExecDestroy(graph));
}

static void aGraphRunsAsOftenAsItIsLaunched(void) {
    char calls[8] = "";
    use_device(0);
    CUstream s = capturing(CU_STREAM_DEFAULT, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuLaunchHostFunc(s, append, calls));
    OK(cu.cuLaunchHostFunc(s, append, calls));
    CUgraphExec graph = executable(s);
    run_in(graph, s);
    run_in(graph, NULL);
    EXPECT(!strcmp(calls, "hhhh"));
    OK(cu.cuGraphExecDestroy(graph));
}

static void aGraphReadsPageableMemoryWhenItRuns(void) {
    CUdeviceptr d;
    char in[SIZE], out[SIZE];
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    memset(in, 'a', SIZE);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuMemcpyHtoDAsync_v2(d, in, SIZE, s));
    CUgraphExec graph = executable(s);
    for (char letter = 'b'; letter < 'd'; letter++) {
        memset(in, letter, SIZE);
        run_in(graph, s);
        OK(cu.cuMemcpyDtoH_v2(out, d, SIZE));
        EXPECT(out[0] == letter && out[SIZE - 1] == letter);
    }
    OK(cu.cuGraphExecDestroy(graph));
}

static void whatAGraphIsMadeOfMustBeMapped(void) {
    CUgraph graph;
    CUgraphExec again;
    unsigned char seen = 0;
    use_device(0);
    handle_t memory = made(2 << 20);
    CUdeviceptr va = mapped(2 << 20, memory);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cu.cuMemsetD8Async(va, 'm', SIZE, s));
    OK(cu.cuMemcpyDtoDAsync_v2(va + SIZE, va, SIZE, s));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuMemUnmap(va, 2 << 20));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGraphInstantiateWithFlags(&again, graph, 0));
    mapped_at(va, 2 << 20, memory);
    OK(cu.cuGraphInstantiateWithFlags(&again, graph, 0));
    run_in(again, s);
    OK(cu.cuMemcpyDtoH_v2(&seen, va + 2 * SIZE - 1, 1));
    EXPECT_IS('m', seen);
}

static void aGraphLaunchedIntoACaptureInvalidatesIt(void) {
    char calls[8] = "";
    use_device(0);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuLaunchHostFunc(s, append, calls));
    CUgraphExec made = executable(s);
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuGraphLaunch(made, s));
    expect_invalid(s);
    EXPECT(!*calls);
    run_in(made, s);
    EXPECT(!strcmp(calls, "h"));
    OK(cu.cuGraphExecDestroy(made));
}

static void whatCannotCaptureSaysSo(void) {
    CUstream s;
    CUgraph graph;
    use_device(0);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamBeginCapture_v2(CU_STREAM_LEGACY, CU_STREAM_CAPTURE_MODE_RELAXED));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(NULL));
    OK(cu.cuStreamCreate(&s, CU_STREAM_DEFAULT));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuStreamBeginCapture_v2(s, (CUstreamCaptureMode)3));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
}

static void theNullStreamInvalidatesTheCaptureOfABlockingStream(void) {
    CUdeviceptr d;
    CUstreamCaptureStatus status;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    CUstream s = capturing(CU_STREAM_DEFAULT, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cu.cuStreamIsCapturing(NULL, &status));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cu.cuMemsetD8Async(d, 1, SIZE, NULL));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuMemsetD8Async(d, 1, SIZE, s));
    expect_invalid(s);
    OK(cu.cuMemsetD8Async(d, 1, SIZE, NULL));
}

static void aPlainCopyInvalidatesTheCaptureOfABlockingStream(void) {
    CUdeviceptr d;
    char out[SIZE];
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    CUstream s = capturing(CU_STREAM_DEFAULT, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cu.cuMemcpyDtoH_v2(out, d, SIZE));
    expect_invalid(s);
}

static void theNullStreamWorksWhileANonBlockingStreamCaptures(void) {
    CUdeviceptr d;
    CUgraph graph;
    char out[SIZE];
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuMemsetD8Async(d, 'n', SIZE, NULL));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
    OK(cu.cuMemcpyDtoH_v2(out, d, SIZE));
    EXPECT(out[SIZE - 1] == 'n');
}

static void waitingForACaptureInvalidatesIt(void) {
    use_device(0);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamSynchronize(s));
    expect_invalid(s);
    s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamQuery(s));
    expect_invalid(s);
    s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuCtxSynchronize());
    expect_invalid(s);
}

static void askingForItsFlagsInvalidatesACapture(void) {
    unsigned flags;
    use_device(0);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    cu.cuStreamGetFlags(s, &flags);
    expect_invalid(s);
}

static void anAllocationInvalidatesACapture(void) {
    CUdeviceptr d;
    use_device(0);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuMemAlloc_v2(&d, SIZE));
    expect_invalid(s);
}

static void *relaxed_thread(void *context) {
    CUdeviceptr d;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    return NULL;
}

static void aRelaxedThreadMayAllocateDuringACapture(void) {
    CUdeviceptr d;
    CUgraph graph;
    pthread_t thread;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUcontext context = use_device(0);
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
    EXPECT_IS(CU_STREAM_CAPTURE_MODE_GLOBAL, mode);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
    EXPECT_IS(CU_STREAM_CAPTURE_MODE_RELAXED, mode);
    pthread_create(&thread, NULL, relaxed_thread, context);
    pthread_join(thread, NULL);
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphDestroy(graph));
}

static void aThreadsCaptureModeIsTakenAsItIsGiven(void) {
    CUstreamCaptureMode mode = (CUstreamCaptureMode)7;
    use_device(0);
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode)); /* strange, but so it is */
    EXPECT_IS(CU_STREAM_CAPTURE_MODE_GLOBAL, mode);
    OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
}

struct ending { CUcontext context; CUstream stream; CUresult result; CUgraph graph; };

static void *end_elsewhere(void *argument) {
    struct ending *ending = argument;
    OK(cu.cuCtxSetCurrent(ending->context));
    ending->result = cu.cuStreamEndCapture(ending->stream, &ending->graph);
    return NULL;
}

static void onlyARelaxedCaptureIsEndedWellByAnotherThread(void) {
    pthread_t thread;
    CUgraph graph;
    struct ending ending = {use_device(0), NULL, CUDA_SUCCESS, NULL};
    ending.stream = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    pthread_create(&thread, NULL, end_elsewhere, &ending);
    pthread_join(thread, NULL);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, ending.result);
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamEndCapture(ending.stream, &graph)); /* it is over all the same */
    ending.stream = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    pthread_create(&thread, NULL, end_elsewhere, &ending);
    pthread_join(thread, NULL);
    OK(ending.result);
    OK(cu.cuGraphDestroy(ending.graph));
}

struct fork { CUstream origin, other; CUevent forked, joined; };

static struct fork forked(void) {
    struct fork f;
    OK(cu.cuEventCreate(&f.forked, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventCreate(&f.joined, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuStreamCreate(&f.other, CU_STREAM_NON_BLOCKING));
    f.origin = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuEventRecord(f.forked, f.origin));
    OK(cu.cuStreamWaitEvent(f.other, f.forked, 0));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(f.other));
    return f;
}

static void aCaptureSpreadsOverEvents(void) {
    char calls[8] = "";
    use_device(0);
    struct fork f = forked();
    OK(cu.cuLaunchHostFunc(f.other, append, calls));
    OK(cu.cuEventRecord(f.joined, f.other));
    OK(cu.cuStreamWaitEvent(f.origin, f.joined, 0));
    OK(cu.cuLaunchHostFunc(f.origin, append, calls));
    CUgraphExec made = executable(f.origin);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(f.other));
    run_in(made, f.origin);
    EXPECT(!strcmp(calls, "hh"));
    OK(cu.cuGraphExecDestroy(made));
}

static void endingACaptureInAnotherStreamInvalidatesIt(void) {
    CUgraph graph;
    use_device(0);
    struct fork f = forked();
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cu.cuStreamEndCapture(f.other, &graph));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuEventRecord(f.joined, f.other));
    expect_invalid(f.origin);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(f.other));
}

static void aCaptureThatIsNotJoinedIsLost(void) {
    char calls[8] = "";
    CUgraph graph = (CUgraph)&graph;
    use_device(0);
    struct fork f = forked();
    OK(cu.cuEventRecord(f.joined, f.other));
    OK(cu.cuStreamWaitEvent(f.origin, f.joined, 0));
    OK(cu.cuLaunchHostFunc(f.other, append, calls));
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cu.cuStreamEndCapture(f.origin, &graph));
    EXPECT(!graph);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(f.origin));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(f.other));
}

static void anEventOfACaptureIsNotWaitedFor(void) {
    CUevent e;
    CUgraph graph;
    use_device(0);
    OK(cu.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cu.cuEventRecord(e, s));
    EXPECT_ONE_OF(CUDA_ERROR_CAPTURED_EVENT, CUDA_ERROR_INVALID_VALUE, cu.cuEventQuery(e)); /* a driver was seen to give one for the other */
    EXPECT_ONE_OF(CUDA_ERROR_CAPTURED_EVENT, CUDA_ERROR_INVALID_VALUE, cu.cuEventSynchronize(e));
    if (!cu.cuStreamEndCapture(s, &graph)) OK(cu.cuGraphDestroy(graph));
    OK(cu.cuEventRecord(e, s));
    OK(cu.cuEventSynchronize(e));
}

static void anEventFromOutsideInvalidatesACapture(void) {
    CUevent e;
    CUstream outside;
    use_device(0);
    OK(cu.cuStreamCreate(&outside, CU_STREAM_NON_BLOCKING));
    OK(cu.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventRecord(e, outside));
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cu.cuStreamWaitEvent(s, e, 0));
    expect_invalid(s);
}

static void aThreadsDefaultStreamCaptures(void) {
    CUdeviceptr d;
    CUgraph graph;
    CUgraphExec made;
    CUstreamCaptureStatus status;
    char out[SIZE] = "untouched";
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, SIZE));
    OK(cu.cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cu.cuStreamIsCapturing_ptsz(NULL, &status));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status);
    OK(cu.cuMemsetD8Async_ptsz(d, 't', SIZE, NULL));
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, SIZE, CU_STREAM_PER_THREAD));
    OK(cu.cuStreamEndCapture_ptsz(NULL, &graph));
    EXPECT(!strcmp(out, "untouched"));
    OK(cu.cuGraphInstantiateWithFlags(&made, graph, 0));
    OK(cu.cuGraphLaunch_ptsz(made, NULL));
    OK(cu.cuStreamSynchronize_ptsz(NULL));
    EXPECT(out[SIZE - 1] == 't');
    OK(cu.cuGraphExecDestroy(made));
    OK(cu.cuGraphDestroy(graph));
}

static void slow_append(void *text) {
    sleep_ms(30);
    strcat(text, "h");
}

static void aGraphDoesNotOvertakeItself(void) {
    CUstream other;
    char calls[8] = "";
    use_device(0);
    OK(cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cu.cuLaunchHostFunc(s, slow_append, calls));
    CUgraphExec made = executable(s);
    OK(cu.cuGraphLaunch(made, s));
    OK(cu.cuGraphLaunch(made, other));
    OK(cu.cuStreamSynchronize(other));
    EXPECT(!strcmp(calls, "hh"));
    OK(cu.cuGraphExecDestroy(made));
}

int main(void) {
    RUN(aCaptureRecordsAndDoesNothing);
    RUN(aGraphRunsAsOftenAsItIsLaunched);
    RUN(aGraphReadsPageableMemoryWhenItRuns);
    RUN(whatAGraphIsMadeOfMustBeMapped);
    RUN(aGraphLaunchedIntoACaptureInvalidatesIt);
    RUN(whatCannotCaptureSaysSo);
    RUN(theNullStreamInvalidatesTheCaptureOfABlockingStream);
    RUN(aPlainCopyInvalidatesTheCaptureOfABlockingStream);
    RUN(theNullStreamWorksWhileANonBlockingStreamCaptures);
    RUN(waitingForACaptureInvalidatesIt);
    RUN(askingForItsFlagsInvalidatesACapture);
    RUN(anAllocationInvalidatesACapture);
    RUN(aRelaxedThreadMayAllocateDuringACapture);
    RUN(aThreadsCaptureModeIsTakenAsItIsGiven);
    RUN(onlyARelaxedCaptureIsEndedWellByAnotherThread);
    RUN(aCaptureSpreadsOverEvents);
    RUN(endingACaptureInAnotherStreamInvalidatesIt);
    RUN(aCaptureThatIsNotJoinedIsLost);
    RUN(anEventOfACaptureIsNotWaitedFor);
    RUN(anEventFromOutsideInvalidatesACapture);
    RUN(aThreadsDefaultStreamCaptures);
    RUN(aGraphDoesNotOvertakeItself);
    return summary();
}
