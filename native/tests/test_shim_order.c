/* A copy by the engine comes after what its stream was given before it, and before what is given to the stream later. */
#include "shim.h"
#include "kernels.h"
#include "../programs/pattern.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MB = 1 << 20, BYTES = 8 * MB + 12, MOST = 80 }; /* smaller uploads into busy streams are the driver's; nine parts, so that the streams of the engine get several each */

/* Every way to copy: the form, the stream it is given, and a stream whose work it has to wait for, and that waits for it. */
struct way { enum form form; CUstream stream, work; };
static struct way ways[MOST];
static int way_count;
static CUstream blocking, other, watch;
static CUdeviceptr device, second;
static char *host;

/* A sanitizer sees enough in some of them. */
static void add(enum form form, CUstream stream, CUstream work) {
    static int known;
    if (!sanitized() || known++ % 3 == 0) ways[way_count++] = (struct way){form, stream, work};
}

static void add_standard(enum form form, CUstream stream, CUstream means) {
    add(form, stream, means);
    if (means == CU_STREAM_LEGACY) add(form, stream, blocking), add(form, stream, CU_STREAM_PER_THREAD);
    else add(form, stream, CU_STREAM_LEGACY);
}

static void add_ways(enum form form) {
    add_standard(form, NULL, is_per_thread(form) ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY);
    if (!is_later(form)) return;
    add_standard(form, CU_STREAM_LEGACY, CU_STREAM_LEGACY);
    add_standard(form, CU_STREAM_PER_THREAD, CU_STREAM_PER_THREAD);
    add_standard(form, blocking, blocking);
    add(form, other, other);
}

static CUcontext prepare(void) {
    engine_takes_most("3");
    setenv("TORPOR_COPY_CHUNK", "1M", 1);
    setenv("TORPOR_SIM_DELAY_US", "5000", 1);
    CUcontext context = use_device(0);
    OK(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamCreate(&watch, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(cu.cuMemAlloc_v2(&second, BYTES));
    host = malloc(BYTES);
    for (enum form form = PLAIN; form < FORMS; form++) add_ways(form);
    return context;
}

static void finish_with(int copies) {
    EXPECT_IS(copies, meant_for_engine());
    EXPECT(copies == 1 || by_engine() > 0);
    free(host);
}

static void fill_now(CUdeviceptr at, char value) {
    OK(cu.cuMemsetD8Async(at, (unsigned char)value, BYTES, watch));
    OK(cu.cuStreamSynchronize(watch));
}

static void expect_host(char value, const struct way *way) {
    if (!all_are(host, value, BYTES)) fail_at(__FILE__, __LINE__, "form %d, stream %p, work of %p: not all bytes are '%c'", (int)way->form, (void *)way->stream, (void *)way->work, value);
}

static void expect_there(CUdeviceptr at, char value, const struct way *way) {
    driver_download(host, at, BYTES, watch);
    expect_host(value, way);
}

static void take_long(void *unused) { (void)unused; sleep_ms(15); }

static void aDownloadWaitsForWhatItsStreamWasGiven(void) {
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        fill_now(device, 'o');
        OK(cu.cuLaunchHostFunc(w->work, take_long, NULL));
        OK(cu.cuMemsetD8Async(device, 'n', BYTES, w->work));
        OK(download(w->form, host, device, BYTES, w->stream));
        expect_host('n', w);
    }
    finish_with(way_count);
}

static void anUploadWaitsForWhatItsStreamWasGiven(void) {
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        memset(host, 'u', BYTES);
        OK(cu.cuLaunchHostFunc(w->work, take_long, NULL));
        OK(cu.cuMemsetD8Async(device, 'n', BYTES, w->work));
        OK(upload(w->form, device, host, BYTES, w->stream));
        OK(cu.cuCtxSynchronize());
        expect_there(device, 'u', w);
    }
    finish_with(way_count);
}

static void aPlainUploadIsThereWhenItReturns(void) {
    prepare();
    for (enum form form = PLAIN; form < LATER; form++) {
        fill_now(device, 'o');
        memset(host, 'u', BYTES);
        OK(upload(form, device, host, BYTES, NULL));
        expect_there(device, 'u', &(struct way){form, NULL, watch});
    }
    finish_with(LATER);
}

static void theSourceOfAnUploadMayBeReusedAtOnce(void) {
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        memset(host, 'u', BYTES);
        OK(upload(w->form, device, host, BYTES, w->stream));
        memset(host, 'x', BYTES);
        OK(cu.cuCtxSynchronize());
        expect_there(device, 'u', w);
    }
    finish_with(way_count);
}

static void whatAStreamIsGivenLaterWaitsForAnUpload(void) {
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        fill_now(device, 'o');
        memset(host, 'u', BYTES);
        OK(upload(w->form, device, host, BYTES, w->stream));
        OK(cu.cuMemcpyDtoDAsync_v2(second, device, BYTES, w->work));
        OK(cu.cuCtxSynchronize());
        expect_there(second, 'u', w);
    }
    finish_with(way_count);
}

static void aDownloadSeesTheUploadBeforeIt(void) {
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        if (w->stream != w->work) continue;
        fill_now(device, 'o');
        memset(host, 'u', BYTES);
        OK(upload(w->form, device, host, BYTES, w->stream));
        memset(host, 0, BYTES);
        OK(download(LATER, host, device, BYTES, w->stream));
        expect_host('u', w);
    }
    free(host);
}

/* Uploads follow one another in the same buffers of the engine, each for another stream. */
static void uploadsForManyStreamsDoNotMix(void) {
    CUstream s[8];
    CUdeviceptr first[8], last[8];
    prepare();
    for (int i = 0; i < 8; i++) {
        OK(cu.cuStreamCreate(&s[i], i % 2 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT));
        OK(cu.cuMemAlloc_v2(&first[i], BYTES));
        OK(cu.cuMemAlloc_v2(&last[i], BYTES));
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++) {
            memset(host, 'a' + i + round, BYTES);
            OK(cu.cuMemcpyHtoDAsync_v2(first[i], host, BYTES, s[i]));
            OK(cu.cuMemcpyDtoDAsync_v2(last[i], first[i], BYTES, s[i]));
        }
        memset(host, 0, BYTES);
        OK(cu.cuCtxSynchronize());
        for (int i = 0; i < 8; i++) expect_there(last[i], (char)('a' + i + round), &(struct way){LATER, s[i], s[i]});
    }
    finish_with(40);
}

static void write_source(void *unused) {
    (void)unused;
    sleep_ms(15);
    memset(host, 'w', BYTES);
}

static void aPlainUploadSeesWhatAHostFunctionWroteBeforeIt(void) {
    int tried = 0;
    prepare();
    for (struct way *w = ways; w < ways + way_count; w++) {
        if (is_later(w->form)) continue;
        memset(host, 'o', BYTES);
        OK(cu.cuLaunchHostFunc(w->work, write_source, NULL));
        OK(upload(w->form, device, host, BYTES, w->stream));
        expect_there(device, 'w', w);
        tried++;
    }
    finish_with(tried);
}

static void aDownloadWaitsForKernels(void) {
    CUmodule module;
    CUfunction fill, spin;
    uint64_t first = 0, count = BYTES / 8, seed = 1, ns = 20000000, wrong = 0, word;
    void *fill_args[] = {&device, &first, &count, &seed}, *spin_args[] = {&ns};
    prepare();
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&fill, module, "torpor_fill"));
    OK(cu.cuModuleGetFunction(&spin, module, "torpor_spin"));
    for (struct way *w = ways; w < ways + way_count; w++, seed++) {
        OK(cu.cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, w->work, spin_args, NULL));
        OK(cu.cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, w->work, fill_args, NULL));
        OK(download(w->form, host, device, BYTES, w->stream));
        for (uint64_t i = 0; i < count; i++) memcpy(&word, host + 8 * i, 8), wrong += word != pattern(seed, i);
    }
    EXPECT_IS(0, wrong);
    finish_with(way_count);
}

/* A stream that does nothing until it is told to; the bound makes a wrong wait a failure and no hang. */

static _Atomic int released, gave_up;

static void hold(void *unused) {
    (void)unused;
    for (int i = 0; i < 10000 && !released; i++) sleep_ms(1);
    gave_up |= !released;
}

struct waiter { CUcontext context; CUstream stream; enum form form; int up; CUdeviceptr device; char *host; _Atomic int done; };

static void *wait_in_stream(void *argument) {
    struct waiter *w = argument;
    OK(cu.cuCtxSetCurrent(w->context));
    OK(w->up ? upload(w->form, w->device, w->host, BYTES, w->stream) : download(w->form, w->host, w->device, BYTES, w->stream));
    w->done = 1;
    return NULL;
}

static struct waiter waiter(CUcontext context, CUstream stream, enum form form, int up) {
    struct waiter w = {.context = context, .stream = stream, .form = form, .up = up, .host = malloc(BYTES)};
    memset(w.host, up ? 'w' : 0, BYTES);
    OK(cu.cuMemAlloc_v2(&w.device, BYTES));
    if (!up) fill_now(w.device, 'w');
    return w;
}

static void copy_meanwhile(enum form form, CUstream stream) {
    for (int i = 0; i < 5; i++) {
        memset(host, 'a' + i, BYTES);
        OK(upload(form, device, host, BYTES, stream));
        memset(host, 0, BYTES);
        OK(download(form, host, device, BYTES, stream));
        expect_host((char)('a' + i), &(struct way){form, stream, stream});
    }
}

static void expect_arrived(struct waiter *w) {
    if (w->up) driver_download(w->host, w->device, BYTES, watch);
    EXPECT(all_are(w->host, 'w', BYTES));
    free(w->host);
}

static void copiesInOneStreamDoNotWaitForAnotherStream(void) {
    enum { WAITERS = 6 };
    pthread_t thread[WAITERS];
    struct waiter all[WAITERS];
    CUstream held;
    CUcontext context = prepare();
    OK(cu.cuStreamCreate(&held, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < WAITERS; i++) all[i] = waiter(context, held, i % 4 < 2 ? LATER : UNIFIED_LATER_PTSZ, i % 2);
    OK(cu.cuLaunchHostFunc(held, hold, NULL));
    for (int i = 0; i < WAITERS; i++) pthread_create(&thread[i], NULL, wait_in_stream, &all[i]);
    sleep_ms(50);
    copy_meanwhile(LATER, other);
    copy_meanwhile(PLAIN, NULL);
    copy_meanwhile(PLAIN_PTDS, NULL);
    for (int i = 0; i < WAITERS; i++) EXPECT(all[i].up || !all[i].done);
    EXPECT(!gave_up);
    released = 1;
    for (int i = 0; i < WAITERS; i++) pthread_join(thread[i], NULL);
    OK(cu.cuCtxSynchronize());
    for (int i = 0; i < WAITERS; i++) expect_arrived(&all[i]);
    finish_with(30 + WAITERS);
}

/* Both threads' default streams are their own; only the legacy one would wait for both. */
static void *wait_in_own_stream(void *argument) {
    struct waiter *w = argument;
    OK(cu.cuCtxSetCurrent(w->context));
    OK(cu.cuLaunchHostFunc(CU_STREAM_PER_THREAD, hold, NULL));
    OK(cu.cuMemsetD8Async(w->device, 'w', BYTES, CU_STREAM_PER_THREAD));
    OK(download(w->form, w->host, w->device, BYTES, NULL));
    w->done = 1;
    return NULL;
}

static void threadsDoNotWaitForEachOthersDefaultStreams(void) {
    pthread_t thread;
    CUcontext context = prepare();
    struct waiter w = waiter(context, NULL, PLAIN_PTDS, 0);
    pthread_create(&thread, NULL, wait_in_own_stream, &w);
    sleep_ms(50);
    copy_meanwhile(PLAIN_PTDS, NULL);
    copy_meanwhile(UNIFIED_LATER_PTSZ, NULL);
    copy_meanwhile(LATER, other);
    EXPECT(!w.done && !gave_up);
    released = 1;
    pthread_join(thread, NULL);
    expect_arrived(&w);
    finish_with(31);
}

/* What holds the NULL stream up is another copy. */
static void aCopyThatIsWaitedForGoesOn(void) {
    pthread_t thread;
    CUcontext context = prepare();
    struct waiter w = waiter(context, NULL, PLAIN, 0);
    OK(cu.cuLaunchHostFunc(NULL, hold, NULL));
    pthread_create(&thread, NULL, wait_in_stream, &w);
    sleep_ms(50);
    copy_meanwhile(LATER, other);
    released = 1;
    pthread_join(thread, NULL);
    EXPECT(!gave_up);
    expect_arrived(&w);
    finish_with(11);
}

static void aCopyInAHeldStreamIsNotMade(void) {
    pthread_t thread;
    CUcontext context = prepare();
    struct waiter w = waiter(context, blocking, LATER, 0);
    fill_now(w.device, 'o');
    OK(cu.cuLaunchHostFunc(blocking, hold, NULL));
    OK(cu.cuMemsetD8Async(w.device, 'w', BYTES, blocking));
    pthread_create(&thread, NULL, wait_in_stream, &w);
    copy_meanwhile(LATER, other);
    EXPECT(!w.done && !gave_up);
    released = 1;
    pthread_join(thread, NULL);
    expect_arrived(&w); /* a copy made too early has the old bytes */
    finish_with(11);
}

int main(void) {
    RUN(aDownloadWaitsForWhatItsStreamWasGiven);
    RUN(anUploadWaitsForWhatItsStreamWasGiven);
    RUN(aPlainUploadIsThereWhenItReturns);
    RUN(theSourceOfAnUploadMayBeReusedAtOnce);
    RUN(whatAStreamIsGivenLaterWaitsForAnUpload);
    RUN(aDownloadSeesTheUploadBeforeIt);
    RUN(uploadsForManyStreamsDoNotMix);
    RUN(aPlainUploadSeesWhatAHostFunctionWroteBeforeIt);
    RUN(aDownloadWaitsForKernels);
    RUN(copiesInOneStreamDoNotWaitForAnotherStream);
    RUN(threadsDoNotWaitForEachOthersDefaultStreams);
    RUN(aCopyThatIsWaitedForGoesOn);
    RUN(aCopyInAHeldStreamIsNotMade);
    return summary();
}
