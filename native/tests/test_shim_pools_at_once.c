/* Many streams and threads with one pool: nobody gets what another still uses. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "pools.h"

#include <pthread.h>

static CUcontext context;
static CUmemoryPool shared;
static CUdeviceptr left;
static _Atomic size_t still_counted; /* what the driver counts as used for ever: its own that cuMemFree gave back */
static double begun;

static void *free_and_end(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    left = taken(8 * MIB, shared, CU_STREAM_PER_THREAD);
    begun = now_ms();
    OK(spin(CU_STREAM_PER_THREAD, 100));
    OK(cu.cuMemFreeAsync(left, CU_STREAM_PER_THREAD));
    return unused;
}

static void *take_in_own(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    CUdeviceptr mine = taken(8 * MIB, shared, CU_STREAM_PER_THREAD);
    if (now_ms() - begun < 90) EXPECT(mine != left);
    OK(cu.cuMemFreeAsync(mine, CU_STREAM_PER_THREAD));
    return unused;
}

/* Its place in memory, which the next thread gets, is not its name. */
static void aThreadsOwnStreamIsNotTheNextThreads(void) {
    pthread_t thread;
    context = use_device(0);
    shared = keeping_pool();
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, free_and_end, NULL);
        pthread_join(thread, NULL);
        pthread_create(&thread, NULL, take_in_own, NULL);
        pthread_join(thread, NULL);
        OK(cu.cuCtxSynchronize());
    }
}

static void *churn(void *number) {
    unsigned seed = 77 + (unsigned)(uintptr_t)number, out = 0;
    OK(cu.cuCtxSetCurrent(context));
    CUstream own = made_stream(), s = (uintptr_t)number % 2 ? own : CU_STREAM_PER_THREAD;
    for (unsigned i = 0; i < (sanitized() ? 60 : 200); i++) {
        size_t bytes = (size_t)(1 + rand_r(&seed) % 4) * MIB + (size_t)(rand_r(&seed) % 3) * 512;
        CUdeviceptr d = taken(bytes, shared, s);
        unsigned value = (unsigned)(uintptr_t)number << 16 | i;
        OK(cu.cuMemsetD32Async(d, value, bytes / 4, s));
        OK(cu.cuMemcpyDtoHAsync_v2(&out, d + bytes - 4, 4, s));
        if (i % 3) OK(cu.cuMemFreeAsync(d, s));
        OK(cu.cuStreamSynchronize(s));
        EXPECT_IS(value, out);
        if (i % 3) continue;
        OK(cu.cuMemFree_v2(d));
        if (bytes < 2 * MIB) still_counted += bytes;
    }
    OK(cu.cuStreamDestroy_v2(own));
    return NULL;
}

static void churn_in_threads(void) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    shared = keeping_pool();
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, churn, (void *)i);
    for (int i = 0; i < 3; i++) {
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        sleep_ms(20);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(still_counted, used(shared));
    still_counted = 0;
    OK(cu.cuMemPoolDestroy(shared));
}

static void threadsAllocateAndFreeAtOnce(void) {
    setenv("TORPOR_SIM_DELAY_US", "20", 1);
    context = use_device(0);
    churn_in_threads();
    size_t before, now = free_memory();
    int rounds = 0;
    do { /* what the driver takes for so much at once, it keeps, and does not take each time */
        before = now;
        churn_in_threads();
        now = free_memory();
    } while (now < before && ++rounds < 5);
    EXPECT_IS(before, now);
}

enum { LIVE = 24, STREAMS = 3 };
struct live { CUdeviceptr at; size_t bytes; unsigned word; };
static struct live live[LIVE];

static int overlaps_another(CUdeviceptr at, size_t bytes) {
    for (int i = 0; i < LIVE; i++)
        if (live[i].at && at < live[i].at + live[i].bytes && live[i].at < at + bytes) return 1;
    return 0;
}

static CUdeviceptr word_of(const struct live *l, int which) { return l->at + (which == 0 ? 0 : which == 1 ? l->bytes / 2 / 4 * 4 : l->bytes - 4); }

static void take_one(struct live *l, size_t bytes, unsigned word, CUmemoryPool pool, CUstream s) {
    CUdeviceptr at = taken(bytes, pool, s);
    EXPECT(at && !overlaps_another(at, bytes));
    *l = (struct live){at, bytes, word};
    for (int which = 0; which < 3; which++) OK(cu.cuMemsetD32Async(word_of(l, which), word, 1, s));
}

/* What it holds is read in the stream that frees it, and looked at when all is done. */
static void free_one(struct live *l, unsigned *seen, CUstream s) {
    for (int which = 0; which < 3; which++) OK(cu.cuMemcpyDtoHAsync_v2(&seen[which], word_of(l, which), 4, s));
    OK(cu.cuMemFreeAsync(l->at, s));
    l->at = 0;
}

static void in_any_order(unsigned steps) {
    unsigned seed = 4711, *seen = NULL, *want = calloc(steps + LIVE, sizeof *want), freed = 0;
    size_t most = 0;
    CUstream s[STREAMS] = {made_stream(), made_stream(), CU_STREAM_PER_THREAD}, its[LIVE];
    CUmemoryPool pools[2] = {keeping_pool(), made_pool_on(0)};
    OK(cu.cuMemHostAlloc((void **)&seen, (steps + LIVE) * 3 * sizeof *seen, 0));
    for (unsigned step = 0; step < steps; step++) {
        int i = rand_r(&seed) % LIVE, n = rand_r(&seed) % STREAMS;
        if (!live[i].at) take_one(&live[i], (size_t)(1 + rand_r(&seed) % 16) * 2 * MIB + (size_t)(rand_r(&seed) % 3) * 512, step, pools[rand_r(&seed) % 2], its[i] = s[n]);
        else {
            if (its[i] != s[n]) OK(cu.cuStreamSynchronize(its[i])); /* another stream frees it after */
            want[freed] = live[i].word;
            free_one(&live[i], seen + 3 * freed++, s[n]);
        }
        if (step % 97 == 96) OK(cu.cuStreamSynchronize(s[n]));
        if (step % 211 == 210) OK(cu.cuMemPoolTrimTo(pools[0], 0));
        if (step % 300 == 299) {
            COMMAND_OK("park");
            COMMAND_OK("unpark");
        }
        if (used(pools[0]) > most) most = used(pools[0]);
    }
    for (int i = 0; i < LIVE; i++)
        if (live[i].at) want[freed] = live[i].word, free_one(&live[i], seen + 3 * freed++, its[i]);
    OK(cu.cuCtxSynchronize());
    for (unsigned i = 0; i < 3 * freed; i++)
        if (seen[i] != want[i / 3]) fail_at(__FILE__, __LINE__, "word %u of allocation %u is not what it was", i % 3, want[i / 3]);
    EXPECT_IS(most, figure(pools[0], CU_MEMPOOL_ATTR_USED_MEM_HIGH));
    for (int i = 0; i < 2; i++) {
        EXPECT_IS(0, used(pools[i]));
        OK(cu.cuMemPoolTrimTo(pools[i], 0));
        EXPECT_IS(0, reserved(pools[i]));
        OK(cu.cuMemPoolDestroy(pools[i]));
    }
    OK(cu.cuMemFreeHost(seen));
    for (int i = 0; i < STREAMS - 1; i++) OK(cu.cuStreamDestroy_v2(s[i]));
    free(want);
}

static void anyOrderOfStreamsKeepsTheBytes(void) {
    setenv("TORPOR_SIM_DELAY_US", "50", 1);
    use_device(0);
    in_any_order(301); /* what the driver takes for streams, and for a park, it keeps */
    size_t before = free_memory();
    in_any_order(sanitized() ? 400 : 1500);
    EXPECT_IS(before, free_memory());
}


int main(void) {
    RUN(aThreadsOwnStreamIsNotTheNextThreads);
    RUN(threadsAllocateAndFreeAtOnce);
    RUN(anyOrderOfStreamsKeepsTheBytes);
    return summary();
}
