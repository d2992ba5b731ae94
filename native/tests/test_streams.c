#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic int step, go_on;
static int seen_first, seen_second;

static void first(void *data) { sleep_ms(100); *(int *)data = atomic_fetch_add(&step, 1) + 1; }
static void held(void *data) { for (int i = 0; i < 20000 && !go_on; i++) sleep_ms(1); first(data); } /* the bound makes a wrong wait a failure and no hang */
static void second(void *data) { *(int *)data = atomic_fetch_add(&step, 1) + 1; }
static void called(CUstream stream, CUresult status, void *data) { (void)stream; *(int *)data = status == CUDA_SUCCESS; }

static void aStreamKeepsItsOrder(void) {
    CUstream s;
    use_device(0);
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuLaunchHostFunc(s, held, &seen_first));
    OK(cu.cuLaunchHostFunc(s, second, &seen_second));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(s));
    go_on = 1;
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuStreamQuery(s));
    EXPECT_IS(1, seen_first);
    EXPECT_IS(2, seen_second);
}

static void anEventOrdersTwoStreams(void) {
    CUstream a, b;
    CUevent e;
    use_device(0);
    OK(cu.cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cu.cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventQuery(e));
    OK(cu.cuLaunchHostFunc(a, held, &seen_first));
    OK(cu.cuEventRecord(e, a));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuEventQuery(e));
    go_on = 1;
    OK(cu.cuStreamWaitEvent(b, e, 0));
    OK(cu.cuLaunchHostFunc(b, second, &seen_second));
    OK(cu.cuStreamSynchronize(b));
    EXPECT(seen_first == 1 && seen_second == 2);
    OK(cu.cuEventSynchronize(e));
    OK(cu.cuEventQuery(e));
    OK(cu.cuEventDestroy_v2(e));
}

static void theNullStreamWaitsForBlockingStreams(void) {
    CUstream s;
    use_device(0);
    OK(cu.cuStreamCreate(&s, CU_STREAM_DEFAULT));
    OK(cu.cuLaunchHostFunc(s, first, &seen_first));
    OK(cu.cuLaunchHostFunc(NULL, second, &seen_second));
    OK(cu.cuStreamSynchronize(NULL));
    EXPECT(seen_first == 1 && seen_second == 2);
}

static void blockingStreamsWaitForTheNullStream(void) {
    CUstream s;
    use_device(0);
    OK(cu.cuStreamCreate(&s, CU_STREAM_DEFAULT));
    OK(cu.cuLaunchHostFunc(NULL, first, &seen_first));
    OK(cu.cuLaunchHostFunc(s, second, &seen_second));
    OK(cu.cuStreamSynchronize(s));
    EXPECT(seen_first == 1 && seen_second == 2);
}

static void nonBlockingStreamsDoNotWaitForTheNullStream(void) {
    CUstream s;
    CUdeviceptr memory;
    use_device(0);
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAlloc_v2(&memory, 4096));
    OK(cu.cuLaunchHostFunc(NULL, held, &seen_first));
    OK(cu.cuMemsetD8Async(memory, 1, 4096, s)); /* the driver may call host functions of all streams in one thread */
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery(NULL));
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(1, seen_first);
}

static void *work_of_another_thread(void *context) {
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuStreamQuery(CU_STREAM_PER_THREAD));
    OK(cu.cuStreamQuery_ptsz(NULL));
    OK(cu.cuLaunchHostFunc_ptsz(NULL, second, &seen_second));
    return NULL;
}

static void everyThreadHasADefaultStreamOfItsOwn(void) {
    pthread_t thread;
    CUcontext context = use_device(0);
    OK(cu.cuLaunchHostFunc(CU_STREAM_PER_THREAD, held, &seen_first));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuStreamQuery_ptsz(NULL));
    go_on = 1;
    pthread_create(&thread, NULL, work_of_another_thread, context);
    pthread_join(thread, NULL);
    OK(cu.cuCtxSynchronize()); /* what a thread leaves behind is done all the same */
    EXPECT(seen_first && seen_second);
}

static void aThreadsStreamAndTheNullStreamWaitForEachOther(void) {
    use_device(0);
    OK(cu.cuLaunchHostFunc_ptsz(NULL, first, &seen_first));
    OK(cu.cuLaunchHostFunc(NULL, second, &seen_second));
    OK(cu.cuStreamSynchronize(NULL));
    EXPECT(seen_first == 1 && seen_second == 2);
    OK(cu.cuLaunchHostFunc(CU_STREAM_LEGACY, first, &seen_first));
    OK(cu.cuLaunchHostFunc(CU_STREAM_PER_THREAD, second, &seen_second));
    OK(cu.cuStreamSynchronize_ptsz(NULL));
    EXPECT(seen_first == 3 && seen_second == 4);
}

static void perThreadCopiesWaitForTheirThreadsWork(void) {
    CUdeviceptr d;
    char out[16] = {0};
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, sizeof out));
    OK(cu.cuMemsetD8Async(d, 'p', sizeof out, CU_STREAM_PER_THREAD));
    OK(cu.cuMemcpyDtoH_v2_ptds(out, d, sizeof out));
    EXPECT(out[0] == 'p' && out[15] == 'p');
}

static void callbacksAreCalled(void) {
    CUstream s;
    CUcontext its = NULL, context;
    unsigned flags = 9;
    int good = 0;
    use_device(0);
    OK(cu.cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, 0));
    OK(cu.cuStreamGetFlags(s, &flags));
    EXPECT_IS(CU_STREAM_NON_BLOCKING, flags);
    OK(cu.cuStreamGetCtx(s, &its));
    OK(cu.cuCtxGetCurrent(&context));
    EXPECT(its == context);
    OK(cu.cuStreamAddCallback(s, called, &good, 0));
    OK(cu.cuStreamSynchronize(s));
    EXPECT_IS(1, good);
}

static void eventsMeasureTime(void) {
    CUevent a, b;
    float ms = -1;
    use_device(0);
    OK(cu.cuEventCreate(&a, 0));
    OK(cu.cuEventCreate(&b, 0));
    OK(cu.cuEventRecord(a, NULL));
    OK(cu.cuLaunchHostFunc(NULL, first, &seen_first));
    OK(cu.cuEventRecord(b, NULL));
    OK(cu.cuEventSynchronize(b));
    OK(cu.cuEventElapsedTime_v2(&ms, a, b));
    EXPECT(ms >= 95 && ms < 5000);
}

static void only_held(void *unused) { (void)unused; for (int i = 0; i < 20000 && !go_on; i++) sleep_ms(1); }

static void anEventOfAContextStandsForAllItsStreams(void) {
    CUcontext context = use_device(0), other = NULL;
    CUevent event = NULL;
    CUstream s = NULL, t = NULL;
    if (!cu.cuCtxRecordEvent) return;
    OK(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    OK(cu.cuCtxRecordEvent(context, event));
    OK(cu.cuEventSynchronize(event));
    go_on = 0;
    OK(cu.cuLaunchHostFunc(t, only_held, NULL));
    OK(cu.cuCtxRecordEvent(context, event));
    EXPECT_IS(CUDA_ERROR_NOT_READY, cu.cuEventQuery(event));
    go_on = 1;
    OK(cu.cuEventSynchronize(event));
    OK(cu.cuStreamQuery(t));
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_HANDLE, cu.cuCtxRecordEvent(other, event));
}

int main(void) {
    RUN(aStreamKeepsItsOrder);
    RUN(anEventOrdersTwoStreams);
    RUN(theNullStreamWaitsForBlockingStreams);
    RUN(blockingStreamsWaitForTheNullStream);
    RUN(nonBlockingStreamsDoNotWaitForTheNullStream);
    RUN(everyThreadHasADefaultStreamOfItsOwn);
    RUN(aThreadsStreamAndTheNullStreamWaitForEachOther);
    RUN(perThreadCopiesWaitForTheirThreadsWork);
    RUN(callbacksAreCalled);
    RUN(eventsMeasureTime);
    RUN(anEventOfAContextStandsForAllItsStreams);
    return summary();
}
