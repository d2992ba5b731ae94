/* While a stream is captured, every copy is the driver's; before and after, the engine's. */
#include "shim.h"
#include "outcome.h"
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KB = 1 << 10, BYTES = 300 * KB };

static CUdeviceptr device;
static char *out, *in;
static CUstream other;

static CUcontext prepare(void) {
    engine_takes_most("3");
    CUcontext context = use_device(0);
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    out = malloc(BYTES);
    in = malloc(BYTES);
    return context;
}

static CUstream capturing(unsigned flags, CUstreamCaptureMode mode) {
    CUstream s;
    OK(cu.cuStreamCreate(&s, flags));
    OK(cu.cuStreamBeginCapture_v2(s, mode));
    return s;
}

static CUstreamCaptureStatus status_of(CUstream s) {
    CUstreamCaptureStatus status = (CUstreamCaptureStatus)-1;
    OK(cu.cuStreamIsCapturing(s, &status));
    return status;
}

static CUgraphExec executable(CUgraph graph) {
    CUgraphExec made = NULL;
    OK(cu.cuGraphInstantiateWithFlags(&made, graph, 0));
    OK(cu.cuGraphDestroy(graph));
    return made;
}

static void end_well(CUstream s) {
    CUgraph graph = NULL;
    OK(cu.cuStreamEndCapture(s, &graph));
    if (graph) OK(cu.cuGraphDestroy(graph));
}

/* In a stream of no capture, by calls that no capture forbids. */
static void there_and_back(char value) {
    memset(out, value, BYTES);
    memset(in, 0, BYTES);
    OK(cu.cuMemcpyHtoDAsync_v2(device, out, BYTES, other));
    OK(cu.cuMemcpyDtoHAsync_v2(in, device, BYTES, other));
    EXPECT(all_are(in, value, BYTES));
}

/* A small upload may find its stream busy for a moment longer. */
static void expect_by_engine(void) {
    unsigned long long before = by_engine(), busy = statistic("passed_busy");
    there_and_back('e');
    EXPECT(by_engine() > before);
    EXPECT_IS(before + 2, by_engine() + statistic("passed_busy") - busy);
}

static void expect_by_driver(void) {
    unsigned long long engine = by_engine(), passed = statistic("passed_capture");
    there_and_back('d');
    EXPECT_IS(engine, by_engine());
    EXPECT_IS(passed + 2, statistic("passed_capture"));
}

static void finish_test(void) {
    expect_by_engine();
    free(out);
    free(in);
}

static void onlyDuringACaptureCopiesAreTheDrivers(void) {
    prepare();
    for (int i = 0; i < 3; i++) {
        expect_by_engine();
        CUstream s = capturing(CU_STREAM_NON_BLOCKING, (CUstreamCaptureMode)i);
        expect_by_driver();
        EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
        end_well(s);
    }
    finish_test();
}

static void replay(CUgraphExec made, CUstream s) {
    for (char letter = 'a'; letter < 'd'; letter++) {
        memset(out, letter, BYTES);
        memset(in, 0, BYTES);
        OK(cu.cuGraphLaunch(made, s));
        OK(cu.cuStreamSynchronize(s));
        EXPECT(all_are(in, letter, BYTES));
    }
    OK(cu.cuGraphExecDestroy(made));
}

static void capturedCopiesBecomePartOfTheGraph(void) {
    static const enum form forms[] = {LATER, LATER_PTSZ, UNIFIED_LATER, UNIFIED_LATER_PTSZ};
    CUgraph graph = NULL;
    prepare();
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        expect_by_engine();
        memset(in, 'i', BYTES);
        memset(out, 'x', BYTES);
        CUstream s = capturing(i % 2 ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
        OK(upload(forms[i], device, out, BYTES, s));
        OK(download(forms[i], in, device, BYTES, s));
        OK(cu.cuStreamEndCapture(s, &graph));
        EXPECT(all_are(in, 'i', BYTES));
        replay(executable(graph), s);
        EXPECT_IS(2 * (i + 1), statistic("passed_capture"));
    }
    finish_test();
}

static void copiesCapturedInAThreadsDefaultStreamBecomePartOfTheGraph(void) {
    CUgraph graph = NULL;
    prepare();
    OK(cu.cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(upload(LATER_PTSZ, device, out, BYTES, NULL));
    OK(download(LATER, in, device, BYTES, CU_STREAM_PER_THREAD));
    expect_by_driver();
    OK(cu.cuStreamEndCapture_ptsz(NULL, &graph));
    replay(executable(graph), other);
    EXPECT_IS(4, statistic("passed_capture"));
    finish_test();
}

static void aThreadsCaptureModeStaysWhatItIs(void) {
    prepare();
    for (int i = 0; i < 3; i++) {
        CUstreamCaptureMode mode = (CUstreamCaptureMode)i;
        OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
        expect_by_engine();
        CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
        expect_by_driver();
        end_well(s);
        mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
        OK(cu.cuThreadExchangeStreamCaptureMode(&mode));
        EXPECT_IS(i, mode);
    }
    finish_test();
}

/* As CUDA 10.0 has them. */
static void capturesOfTheOldestFormsAreKnown(void) {
    static const char *const forms[] = {"cuStreamBeginCapture", "cuStreamBeginCapture_ptsz"};
    prepare();
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        CUresult (*begin)(CUstream) = (CUresult (*)(CUstream))dlsym(driver_library, forms[i]);
        CUstream s;
        OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(begin(s));
        expect_by_driver();
        end_well(s);
        expect_by_engine();
        OK(begin(s));
        OK(((__typeof__(cuStreamDestroy_v2) *)dlsym(driver_library, "cuStreamDestroy"))(s));
        expect_by_engine();
    }
    finish_test();
}

/* The calls of the shim itself concern no capture. */

static void buffersAreGivenUpAfterACaptureAndDoNotHarmIt(void) {
    setenv("TORPOR_COPY_IDLE_MS", "50", 1);
    prepare();
    expect_by_engine();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    sleep_ms(200); /* some of the times at which they could go */
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    end_well(s);
    EXPECT_IS(0, shim_threads_become(0));
    finish_test();
}

static _Atomic int over;

static void *copy_slowly(void *context) {
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuMemcpyDtoHAsync_v2(in, device, BYTES, other));
    over = 1;
    return NULL;
}

static void aCaptureThatBeginsDuringACopyIsNotHarmed(void) {
    pthread_t thread;
    setenv("TORPOR_SIM_DELAY_US", "50000", 1); /* five parts in three streams take twice that */
    CUcontext context = prepare();
    pthread_create(&thread, NULL, copy_slowly, context);
    EXPECT_IS(3, shim_threads_become(3)); /* the engine has begun with it */
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_GLOBAL);
    EXPECT(!over || real_driver()); /* a GPU may be faster than this thread */
    while (!over) sleep_ms(1);
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    pthread_join(thread, NULL);
    EXPECT_IS(1, by_engine());
    end_well(s);
    finish_test();
}

static void whatIsRecordedDoesNotWaitForACopy(void) {
    pthread_t thread;
    CUgraph graph = NULL;
    setenv("TORPOR_SIM_DELAY_US", "50000", 1);
    CUcontext context = prepare();
    pthread_create(&thread, NULL, copy_slowly, context);
    EXPECT_IS(3, shim_threads_become(3));
    OK(cu.cuStreamBeginCapture_v2(other, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuMemsetD8Async(device, 7, 16, other));
    EXPECT(!over || real_driver());
    OK(cu.cuStreamEndCapture(other, &graph));
    OK(cu.cuGraphDestroy(graph));
    pthread_join(thread, NULL);
    EXPECT_IS(1, by_engine());
    finish_test();
}

struct captures { CUcontext context; _Atomic int over; int good; };

static void *capture_often(void *argument) {
    struct captures *c = argument;
    CUstream s;
    CUdeviceptr memory;
    OK(cu.cuCtxSetCurrent(c->context));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAlloc_v2(&memory, 4096));
    for (int i = 0; i < 300; i++) {
        CUgraph graph = NULL;
        OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        for (int k = 0; k < i % 7; k++) OK(cu.cuMemsetD8Async(memory, 1, 4096, s));
        c->good += !cu.cuStreamEndCapture(s, &graph);
        if (graph) OK(cu.cuGraphDestroy(graph));
        if (i % 3 == 0) sleep_ms(2);
    }
    c->over = 1;
    return NULL;
}

static void anotherThreadsCapturesAreNotHarmedByTheEngine(void) {
    pthread_t thread;
    setenv("TORPOR_COPY_IDLE_MS", "1", 1);
    setenv("TORPOR_SIM_DELAY_US", "0", 1);
    struct captures c = {.context = prepare()};
    expect_by_engine();
    pthread_create(&thread, NULL, capture_often, &c);
    while (!c.over) there_and_back('x');
    pthread_join(thread, NULL);
    EXPECT_IS(300, c.good);
    EXPECT(by_engine() > 2);
    finish_test();
}

/* Not all captures end as they should. */

static void aCaptureThatDoesNotBeginChangesNothing(void) {
    prepare();
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    expect_by_engine();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    expect_by_driver();
    end_well(s);
    finish_test();
}

static void anInvalidatedCaptureEnds(void) {
    CUgraph graph;
    prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamSynchronize(s));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_INVALIDATED, status_of(s));
    expect_by_driver();
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(s, &graph));
    finish_test();
}

static CUstream forked_off(CUstream origin, CUevent *joined) {
    CUstream s;
    CUevent forked;
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuEventCreate(&forked, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventCreate(joined, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventRecord(forked, origin));
    OK(cu.cuStreamWaitEvent(s, forked, 0));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    return s;
}

static void aCaptureThatIsNotJoinedEnds(void) {
    CUgraph graph;
    CUevent joined;
    prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED), fork = forked_off(s, &joined);
    OK(cu.cuMemsetD8Async(device, 1, BYTES, fork));
    expect_by_driver();
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cu.cuStreamEndCapture(s, &graph));
    finish_test();
}

static void onlyTheStreamInWhichItBeganEndsACapture(void) {
    CUgraph graph;
    CUevent joined;
    prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED), fork = forked_off(s, &joined);
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cu.cuStreamEndCapture(fork, &graph));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_INVALIDATED, status_of(s));
    expect_by_driver();
    EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(s, &graph));
    finish_test();
}

static void aStreamDestroyedWhileItCapturesEndsIt(void) {
    prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    expect_by_driver();
    OK(cu.cuStreamDestroy_v2(s));
    finish_test();
}

static void aStreamThatIsDestroyedAfterItJoinedEndsNothing(void) {
    CUevent joined;
    prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED), fork = forked_off(s, &joined);
    OK(cu.cuEventRecord(joined, fork));
    OK(cu.cuStreamWaitEvent(s, joined, 0));
    OK(cu.cuStreamDestroy_v2(fork));
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    expect_by_driver();
    end_well(s);
    expect_by_engine();
    s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    expect_by_driver();
    end_well(s);
    finish_test();
}

struct ending { CUcontext context; CUstream stream; };

static void *end_elsewhere(void *argument) {
    struct ending *ending = argument;
    CUgraph graph = NULL;
    OK(cu.cuCtxSetCurrent(ending->context));
    EXPECT_ONE_OF(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, CUDA_SUCCESS, cu.cuStreamEndCapture(ending->stream, &graph)); /* not what the shim goes by */
    if (graph) OK(cu.cuGraphDestroy(graph));
    return NULL;
}

static CUstream captured_until_another_thread_ends_it(void) {
    pthread_t thread;
    struct ending ending = {.context = prepare()};
    ending.stream = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    expect_by_driver();
    pthread_create(&thread, NULL, end_elsewhere, &ending);
    pthread_join(thread, NULL);
    return ending.stream;
}

static void aCaptureThatAnotherThreadEndsIsOver(void) {
    CUgraph graph;
    CUstream s = captured_until_another_thread_ends_it();
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_NONE, status_of(s));
    expect_by_engine();
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuStreamEndCapture(s, &graph));
    finish_test();
}

static void aCaptureThatAnotherThreadDoesNotEndGoesOn(void) {
    setenv("TORPOR_SIM_FAULTS", "cuStreamEndCapture#1=908", 1);
    CUstream s = captured_until_another_thread_ends_it();
    EXPECT_IS(CU_STREAM_CAPTURE_STATUS_ACTIVE, status_of(s));
    expect_by_driver();
    end_well(s);
    finish_test();
}

static void *capture_and_end(void *context) {
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuStreamBeginCapture_v2_ptsz(NULL, CU_STREAM_CAPTURE_MODE_RELAXED));
    expect_by_driver();
    return NULL;
}

static void aCaptureInAThreadsOwnStreamEndsWithTheThread(void) {
    pthread_t thread;
    CUcontext context = prepare();
    CUstream s = capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    pthread_create(&thread, NULL, capture_and_end, context);
    pthread_join(thread, NULL);
    expect_by_driver(); /* nobody else's ends with it */
    end_well(s);
    finish_test();
}

static void aCaptureEndsWithItsContext(void) {
    CUcontext context, primary = prepare();
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cu.cuCtxDestroy_v2(context));
    OK(cu.cuCtxSetCurrent(primary));
    finish_test();
}

static void aCaptureEndsWithThePrimaryContext(void) {
    prepare();
    capturing(CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    free(out);
    free(in);
    prepare();
    finish_test();
}

/* What a copy does to a capture is what it would do without the shim. */
static void aPlainCopyInvalidatesTheCaptureOfABlockingStream(void) {
    CUgraph graph;
    prepare();
    for (enum form form = PLAIN; form < LATER; form += 2) {
        CUstream s = capturing(CU_STREAM_DEFAULT, CU_STREAM_CAPTURE_MODE_RELAXED);
        EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, upload(form, device, out, BYTES, NULL));
        EXPECT_IS(CU_STREAM_CAPTURE_STATUS_INVALIDATED, status_of(s));
        EXPECT_IS(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(s, &graph));
    }
    finish_test();
}

/* A capture begins or ends at any moment in another thread; a child has no part in it. */
static _Atomic int enough;

static void *capture_on(void *context) {
    CUstream s;
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    while (!enough) {
        OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        end_well(s);
    }
    return NULL;
}

static void aChildForkedDuringACaptureIsNotHeldUp(void) {
    pthread_t threads[2];
    CUgraph graph;
    int forks = sanitized() ? 20 : 400;
    CUcontext context = use_device(0);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, capture_on, context);
    for (int i = 0; i < forks; i++) {
        int pid = fork();
        if (!pid) {
            alarm(10);
            _exit(cu.cuStreamEndCapture(other, &graph) != CUDA_ERROR_NOT_INITIALIZED);
        }
        int status = wait_child(pid);
        EXPECT_IS(0, status);
        if (status) break;
    }
    enough = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

int main(void) {
    RUN(onlyDuringACaptureCopiesAreTheDrivers);
    RUN(capturedCopiesBecomePartOfTheGraph);
    RUN(copiesCapturedInAThreadsDefaultStreamBecomePartOfTheGraph);
    RUN(aThreadsCaptureModeStaysWhatItIs);
    RUN(capturesOfTheOldestFormsAreKnown);
    RUN(buffersAreGivenUpAfterACaptureAndDoNotHarmIt);
    RUN(aCaptureThatBeginsDuringACopyIsNotHarmed);
    RUN(whatIsRecordedDoesNotWaitForACopy);
    RUN(anotherThreadsCapturesAreNotHarmedByTheEngine);
    RUN(aCaptureThatDoesNotBeginChangesNothing);
    RUN(anInvalidatedCaptureEnds);
    RUN(aCaptureThatIsNotJoinedEnds);
    RUN(onlyTheStreamInWhichItBeganEndsACapture);
    RUN(aStreamDestroyedWhileItCapturesEndsIt);
    RUN_SIMULATED(aStreamThatIsDestroyedAfterItJoinedEndsNothing, "a real driver may invalidate the capture");
    RUN(aCaptureThatAnotherThreadEndsIsOver);
    RUN_SIMULATED(aCaptureThatAnotherThreadDoesNotEndGoesOn, "faults are the simulator's");
    RUN_SIMULATED(aCaptureInAThreadsOwnStreamEndsWithTheThread, "no real driver says what becomes of such a capture");
    RUN_SIMULATED(aCaptureEndsWithItsContext, "no real driver says what becomes of such a capture");
    RUN_SIMULATED(aCaptureEndsWithThePrimaryContext, "no real driver says what becomes of such a capture");
    RUN(aPlainCopyInvalidatesTheCaptureOfABlockingStream);
    RUN_SIMULATED(aChildForkedDuringACaptureIsNotHeldUp, "what a real driver answers to a child is its own affair");
    return summary();
}
